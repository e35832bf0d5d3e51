"""Forward passes of a text encoder whose vectors do not depend on the rest of the batch."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from data_prep.embedding.batch_invariance import one_thread
from data_prep.embedding.block_linear import use_blocks

__all__ = ["EncoderPasses"]

GPU_TEXTS = 32  # texts in every pass on a GPU: the batch size of `embed`


class EncoderPasses:
    """A sentence-transformers model in eval mode, with checks that batches do not change vectors.

    On the CPU a pass runs on one thread, with linear layers in blocks. On a GPU every pass has
    `GPU_TEXTS` texts; the last pass is filled with copies. The first batch of each length is
    checked, and again each batch at least twice as large: its first and last text must get the same
    bits alone and in the opposite order. If bits differ, texts of that length are encoded one by
    one from then on.

    Attributes:
        arithmetic: device and library version, which determine the last bits of vectors.
    """

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._on_cpu = device.type == "cpu"
        self._texts = 0 if self._on_cpu else GPU_TEXTS  # texts of every pass; 0 for any number
        self._seen: dict[int, int] = {}  # the largest checked batch, by length
        self._one_by_one: set[int] = set()
        self._turn = threading.Lock()
        if self._on_cpu:
            with one_thread(), torch.inference_mode():
                use_blocks(model)
        self.arithmetic = _arithmetic(device)

    def vectors(self, tokens: Mapping[str, Any], length: int) -> Tensor:
        """Return vectors (n, D) float32 on the CPU.

        Args:
            tokens: the model's input; each tensor has one row a text, all of one length.
            length: length of the texts.
        """
        texts = len(tokens["input_ids"])
        with self._computing():
            if texts == 1 or length in self._one_by_one:
                return self._alone(tokens, range(texts))
            vectors = self._together(tokens, range(texts))
            if texts >= 2 * self._seen.get(length, 1):
                if self._depends_on_batch(tokens, vectors):
                    self._one_by_one.add(length)
                    return self._alone(tokens, range(texts))
                self._seen[length] = texts
            return vectors

    def whole(self, tokens: Mapping[str, Any]) -> Tensor:
        """Return vectors (n, D) float32 on the CPU of an input that is not cut into rows."""
        with self._computing():
            there = {
                name: value.to(self._device) if isinstance(value, Tensor) else value
                for name, value in tokens.items()
            }
            vectors: Tensor = self._model(there)["sentence_embedding"]
            return vectors.float().cpu()

    def _depends_on_batch(self, tokens: Mapping[str, Any], vectors: Tensor) -> bool:
        ends = [len(vectors) - 1, 0]
        parts = (self._together(tokens, ends), self._alone(tokens, ends))
        return not all(torch.equal(part, vectors[ends]) for part in parts)

    def _alone(self, tokens: Mapping[str, Any], rows: Sequence[int]) -> Tensor:
        return torch.cat([self._together(tokens, [row]) for row in rows])

    def _together(self, tokens: Mapping[str, Any], rows: Sequence[int]) -> Tensor:
        """Return the vectors of some rows, in passes of a fixed size if there is one."""
        size = self._texts or len(rows)
        parts = [list(rows[at : at + size]) for at in range(0, len(rows), size)]
        return torch.cat([self._pass(tokens, part)[: len(part)] for part in parts])

    def _pass(self, tokens: Mapping[str, Any], rows: list[int]) -> Tensor:
        rows = rows + rows[:1] * (self._texts - len(rows))
        some = {
            name: value[rows].to(self._device) if isinstance(value, Tensor) else value
            for name, value in tokens.items()
        }
        vectors: Tensor = self._model(some)["sentence_embedding"]
        return vectors.float().cpu()

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Compute on one thread of the CPU, or on a GPU in turns and without TF32."""
        with torch.inference_mode():
            if self._on_cpu:
                with one_thread():
                    yield
                return
            with self._turn:
                matmul = torch.backends.cuda.matmul
                before = matmul.allow_tf32
                matmul.allow_tf32 = False
                try:
                    yield
                finally:
                    matmul.allow_tf32 = before


def _arithmetic(device: torch.device) -> str:
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    else:
        where = f"{device.type} {torch.backends.cpu.get_cpu_capability()}"
    return f"{where}, torch {torch.__version__}"
