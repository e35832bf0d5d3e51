"""A ladder of catalogues: what each command takes in time and memory as items grow tenfold.

    python -m tests.bench.scale 100000 1000000 10000000

measures the sizes that are named, step by step, and keeps each figure in bench/scale.json at once;
a figure that is there is not measured again (--anew does). `--steps` names some of the steps.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson

from data_prep.storage.files import written_aside
from data_prep.storage.record import run_record
from service.cli.terminal.console import output
from tests.bench.empty import empty_service
from tests.bench.load import Load, get_requests, post_requests, put_under_load
from tests.bench.scale_data import DIMENSION, titles_at_hand, write_catalogue
from tests.bench.scale_picture import draw_scale
from tests.e2e.server import SEMID, resident_bytes, serving
from tokenizer.ids.semantic_id import Codes
from tokenizer.index.semantic_index import SemanticIndex
from tokenizer.offline.id_parts import IdParts, code_matrix
from tokenizer.pipeline import Pipeline

__all__ = ["main"]

RESULTS = Path("bench/scale.json")
SIZES = (100_000, 1_000_000, 10_000_000)
STEPS = int(os.environ.get("SEMID_SCALE_STEPS", "400"))  # of the fit
CLIENTS, SECONDS = 16, 8.0
QUERIES = 300


class _Rung:
    """One size: its folder with catalogue, tokenizer, IDs and registry."""

    def __init__(self, place: Path, items: int) -> None:
        self.items, self.place = items, place / str(items)
        self.catalogue, self.tokenizer = self.place / "items", self.place / "tokenizer"
        self.ids, self.database = self.place / "ids", self.place / "semid.db"

    def make(self) -> None:
        """Write the catalogue, unless it is there."""
        if not (self.place / "made").exists():
            data = os.environ.get("SEMID_DATA")
            shutil.rmtree(self.catalogue, ignore_errors=True)
            write_catalogue(
                self.catalogue, self.items, titles_at_hand(None if data is None else Path(data))
            )
            (self.place / "made").touch()

    def fit(self) -> dict[str, float]:
        return self._timed(
            "fit", "fit", self.catalogue, "--vectors", self.catalogue, "--out", self.tokenizer,
            "--steps", STEPS, "--overwrite", "--no-baseline",
        )  # fmt: skip

    def tokenize(self) -> dict[str, float]:
        shutil.rmtree(self.ids, ignore_errors=True)
        figures = self._timed(
            "tokenize", "tokenize", self.catalogue, "--tokenizer", self.tokenizer,
            "--out", self.ids,
        )  # fmt: skip
        size = sum(path.stat().st_size for path in self.ids.glob("part-*"))
        rate = self.items / figures["tokenize_seconds"]
        return figures | {
            "tokenize_items_per_second": rate,
            "ids_bytes_an_item": size / self.items,
        }

    def index(self) -> dict[str, float]:
        """Fill an index, and search it for items of the catalogue, one query at a time."""
        pipeline = Pipeline.load(self.tokenizer)
        codes = self._codes(pipeline)
        before = _resident()
        index = SemanticIndex(pipeline.codebooks)
        started = time.perf_counter()
        index.add(np.arange(1, len(codes) + 1), codes)
        seconds = time.perf_counter() - started
        rng = np.random.default_rng(1)
        latents = pipeline.latents_of_codes(codes[rng.integers(0, len(codes), QUERIES)])
        exact = self._searches(index, latents[: QUERIES // 10], exact=True)[0]
        taken, found = self._searches(index, latents, exact=False)
        nearest = self._searches(index, latents[:100], exact=True)[1][:, -1:]
        return {
            "index_build_seconds": seconds,
            "index_bytes_an_item": (_resident() - before - codes.nbytes) / len(codes),
            "index_scanned_lists": index.probing.lists,
            "index_recall_at_10": float((found[:100] <= nearest * (1 + 1e-5) + 1e-6).mean()),
            "index_search_p50_milliseconds": float(np.median(taken)) * 1e3,
            "index_search_p99_milliseconds": float(np.quantile(taken, 0.99)) * 1e3,
            "index_exact_p50_milliseconds": float(np.median(exact)) * 1e3,
        }

    def register(self) -> dict[str, float]:
        for path in self.place.glob("semid.db*"):
            path.unlink()
        url = f"sqlite:///{self.database}"
        figures = self._timed(
            "import", "import", self.ids, "--catalogue", self.catalogue, "--database", url
        )
        figures["import_items_per_second"] = self.items / figures["import_seconds"]
        figures["registry_bytes_an_item"] = self.database.stat().st_size / self.items
        return figures

    def serve(self) -> dict[str, float]:
        """Start twice, the second time from the saved index, and measure requests.

        Beside them stand an empty service that sends answers of the same shape, under the same
        load, and the memory of the service with an empty registry.
        """
        options = ("--tokenizer", self.tokenizer, "--database", f"sqlite:///{self.database}")
        log, figures = self.place / "log", self._without_items()
        for saved in self.place.glob("semid.db.index*"):
            saved.unlink()
        for which in ("first_start", "start"):
            started = time.perf_counter()
            with serving(log, *options) as address:
                httpx.get(f"{address}/health/ready", timeout=120).raise_for_status()
                figures[f"{which}_seconds"] = time.perf_counter() - started
                if which == "start":
                    figures |= self._requests(address)
                    memory = resident_bytes(address)
                    figures["service_megabytes"] = memory / 1e6
                    more = memory - figures["empty_service_megabytes"] * 1e6
                    figures["service_bytes_an_item"] = more / self.items
        return figures

    def _without_items(self) -> dict[str, float]:
        body = [orjson.dumps({"item_id": "i000000000", "k": 10})]
        with empty_service() as address:
            load = put_under_load(
                address, post_requests, "/v1/similar", body, 0, clients=CLIENTS, seconds=SECONDS
            )
        _check("empty service", load)
        with tempfile.TemporaryDirectory() as folder:
            database = ("--database", f"sqlite:///{folder}/semid.db")
            with serving(self.place / "log", "--tokenizer", self.tokenizer, *database) as address:
                vector = {"vector": [0.1] * DIMENSION}
                httpx.post(f"{address}/v1/similar", json=vector).raise_for_status()
                memory = resident_bytes(address)
        return {
            "empty_similar_requests_per_second": load.rate,
            "empty_service_megabytes": memory / 1e6,
        }

    def _requests(self, address: str) -> dict[str, float]:
        rng = np.random.default_rng(2)
        names = [f"i{row:09}" for row in rng.integers(0, self.items, 2000)]
        similar = [orjson.dumps({"item_id": name, "k": 10}) for name in names]
        paths = [f"/v1/items/{name}" for name in names]
        searches = [
            f"/v1/items?limit=10&search={word}"
            for word in ("chocolate", "bio+lait", "eau", "cho", "pain+complet", "tomato", "the")
        ]
        loads: dict[str, Callable[[int], Any]] = {
            "similar": lambda clients: put_under_load(
                address, post_requests, "/v1/similar", similar, 0, clients=clients, seconds=SECONDS
            ),
            "look_up": lambda clients: put_under_load(
                address, get_requests, paths, clients=clients, seconds=SECONDS / 2
            ),
            "prefixes": lambda clients: put_under_load(
                address, get_requests, ["/v1/prefixes"], clients=clients, seconds=SECONDS / 4
            ),
            "search": lambda clients: put_under_load(
                address, get_requests, searches, clients=clients, seconds=SECONDS / 2
            ),
        }
        first = {"item_id": names[0], "k": 10}
        httpx.post(f"{address}/v1/similar", json=first, timeout=120).raise_for_status()
        figures: dict[str, float] = {}
        for name, load in loads.items():
            alone, together = load(1), load(CLIENTS)
            _check(name, together)
            figures[f"{name}_p50_milliseconds"] = alone.percentile(0.5)
            figures[f"{name}_p99_milliseconds"] = alone.percentile(0.99)
            figures[f"{name}_requests_per_second"] = together.rate
        return figures

    def _searches(
        self, index: SemanticIndex, latents: Any, *, exact: bool
    ) -> tuple[list[float], Any]:
        taken, found = [], []
        for latent in latents:
            started = time.perf_counter()
            found.append(index.search(latent[None], 10, exact=exact)[1][0])
            taken.append(time.perf_counter() - started)
        return taken, np.stack(found)

    def _codes(self, pipeline: Pipeline) -> Codes:
        ids = IdParts.of(self.ids, pipeline.fingerprint, pipeline.levels, pipeline.codebook_size)
        parts = [code_matrix(rows["codes"], pipeline.levels) for rows in ids.batches(("codes",))]
        return np.concatenate(parts)

    def _timed(self, name: str, *arguments: object) -> dict[str, float]:
        """Run a command in its own process; return its seconds and its largest memory."""
        started = time.perf_counter()
        process = subprocess.Popen(
            [*SEMID, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        said = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(said)
        return {
            f"{name}_seconds": time.perf_counter() - started,
            f"{name}_megabytes": usage.ru_maxrss / 1024,
        }


def main() -> None:
    """Measure the sizes that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, metavar="ITEMS", default=SIZES)
    parser.add_argument("--steps", default="fit,tokenize,index,register,serve")
    parser.add_argument("--anew", action="store_true", help="measure again what is there")
    parser.add_argument("--draw", type=Path, help="draw what is kept to this file, and end")
    parser.add_argument("--place", type=Path, help="folder for the catalogues, kept")
    asked = parser.parse_args()
    if asked.draw is not None:
        draw_scale(json.loads(RESULTS.read_text()), asked.draw)
        return
    with tempfile.TemporaryDirectory() as temporary:
        for items in asked.sizes or SIZES:
            rung = _Rung(asked.place or Path(temporary), items)
            rung.place.mkdir(parents=True, exist_ok=True)
            for step in asked.steps.split(","):
                _measure(rung, step, anew=asked.anew)
            if asked.place is None:
                shutil.rmtree(rung.place)


def _measure(rung: _Rung, step: str, *, anew: bool) -> None:
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    kept = results.setdefault(str(rung.items), {})
    needed = {"fit": rung.tokenizer, "tokenize": rung.ids, "register": rung.database}
    if step in kept and not anew and needed.get(step, rung.place).exists():
        return
    rung.make()
    started = time.perf_counter()
    figures = getattr(rung, step)()
    seconds = time.perf_counter() - started
    kept[step] = {"figures": figures, "record": run_record(0, "generated", seconds)}
    with written_aside(RESULTS) as path:
        path.write_text(json.dumps(results, indent=2) + "\n")
    for name, value in figures.items():
        output.print(f"{rung.items:>11,} {name:34} {value:12,.4g}")


def _check(name: str, load: Load) -> None:
    if set(load.statuses) != {200}:
        raise RuntimeError(f"{name}: answers by status {load.statuses}")


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":  # spawned processes import this
    main()
