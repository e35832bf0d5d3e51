"""Pieces of a catalogue on a Ray cluster, with Ray Data."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from data_prep.errors import InputError
from data_prep.parts.engines import Worker
from data_prep.parts.items import Piece

__all__ = ["RayEngine"]

STARTS = 3  # tries to start Ray on this machine

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # no warning on each start


class RayEngine:
    """Ray Data's actors, each of which holds the model; a lost one is started again.

    The driver gets each piece's table through Ray's object store and writes it, so that nodes need
    no common folder for the output; they must reach the inputs by the same paths.
    """

    def __init__(self, workers: int, device: str) -> None:
        """Connect to the cluster that RAY_ADDRESS names, else start Ray on this machine."""
        try:
            import ray
        except ModuleNotFoundError as error:
            raise InputError("--engine ray needs Ray: pip install 'semid[ray]'") from error
        if not ray.is_initialized():
            _start(ray)
        self._ray = ray
        self._gpus = 0 if device == "cpu" else 1
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        total = resources.get("GPU" if self._gpus else "CPU", 1)
        self._workers = workers or max(1, int(total))

    def run(
        self, make: Callable[[], Worker], pieces: Sequence[Piece]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        if not pieces:
            return
        from ray.data import DataContext, from_items

        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.actor_task_retry_on_errors = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        # One block a piece, so that a lost actor repeats one piece.
        rows = [{"place": place} for place in range(len(pieces))]
        dataset = from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_args=(make, list(pieces)),
            compute=self._ray.data.ActorPoolStrategy(size=min(self._workers, len(rows))),
            num_gpus=self._gpus or None,
            num_cpus=0 if self._gpus else 1,
        )
        for batch in dataset.iter_batches(batch_size=1, batch_format="pyarrow", prefetch_batches=1):
            fault = batch["fault"][0].as_py()
            if fault:
                raise InputError(fault)
            table = pl.read_ipc(batch["table"][0].as_py())
            yield batch["number"][0].as_py(), table


def _start(ray: Any) -> None:
    """Connect, or start Ray here; a busy machine may need longer than the 30 s that Ray waits."""
    address = os.environ.get("RAY_ADDRESS")
    for left in reversed(range(1 if address else STARTS)):
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises Exception itself if it starts late
            ray.shutdown()
            if left:
                continue
            reason = str(error).partition("\n")[0]
            remedy = "try again when the machine is less busy, or leave --engine out"
            if address:
                remedy = f"check RAY_ADDRESS={address}, or unset it to start Ray here"
            raise InputError(f"Ray cannot be reached: {reason}; {remedy}") from error
        return


class _Actor:
    """Holds a worker in a process of the cluster."""

    def __init__(self, make: Callable[[], Worker], pieces: Sequence[Piece]) -> None:
        self._make, self._pieces = make, pieces
        self._worker: Worker | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        piece = self._pieces[batch["place"][0].as_py()]
        told: dict[str, Any] = {"number": piece.number, "table": b"", "fault": ""}
        try:
            if self._worker is None:
                self._worker = self._make()
            stream = self._worker(piece).write_ipc(None)
            told["table"] = stream.getvalue()
        except InputError as error:
            told["fault"] = str(error)
        return pa.table(
            {
                "number": pa.array([told["number"]], pa.int64()),
                "table": pa.array([told["table"]], pa.large_binary()),
                "fault": pa.array([told["fault"]], pa.string()),
            }
        )
