"""Exact search over decoded latents, on a GPU if FAISS supports it."""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

__all__ = ["DecodedIndex"]

MAX_RESULTS = 2048  # FAISS's limit on a GPU
MAX_REMOVED = 1024  # removed rows that stay in the index, before it is rebuilt


class DecodedIndex:
    """`faiss.IndexFlatL2` with keys, on a GPU or the CPU; one thread at a time.

    FAISS cannot remove rows on a GPU. Removed rows therefore stay, and a search asks for as many
    further results, until there are many and the index is rebuilt. For this, all rows are in the
    CPU's memory too.
    """

    def __init__(self, dimension: int, device: str) -> None:
        """Make an empty index of vectors (d,).

        Args:
            device: `cpu`, `cuda` or `cuda:1`.
        """
        self._dimension, self._device = dimension, device
        self._resources = None if device == "cpu" else faiss.StandardGpuResources()
        self._keys: NDArray[np.int64] = np.empty(0, np.int64)
        self._latents: list[NDArray[np.float32]] = []
        self._start(self._keys, np.empty((0, dimension), np.float32))

    def __len__(self) -> int:
        return len(self._keys) - self._removed

    def add(self, keys: NDArray[np.int64], latents: NDArray[np.float32]) -> None:
        """Add keys (n,), which must be new, with their latents (n, d)."""
        self._keys = np.concatenate([self._keys, keys])
        self._latents.append(np.ascontiguousarray(latents, np.float32))
        self._index.add(self._latents[-1])

    def remove(self, keys: NDArray[np.int64]) -> None:
        """Remove keys (n,); unknown keys are ignored."""
        removed = np.isin(self._keys, keys) & (self._keys >= 0)
        self._keys[removed] = -1
        self._removed += int(removed.sum())
        if self._removed > MAX_REMOVED:
            kept = self._keys >= 0
            self._start(self._keys[kept], np.concatenate(self._latents)[kept])

    def search(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """Return keys (n, k) int64 and squared distances (n, k) float32, nearest first.

        Missing results have the key −1. Returns None if k is too large for a GPU.
        """
        asked = k + self._removed
        if asked > MAX_RESULTS:
            return None
        distances, places = self._index.search(queries, asked)
        keys = places if not len(self._keys) else np.where(places < 0, -1, self._keys[places])
        order = np.argsort(keys < 0, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(keys, order, 1), np.take_along_axis(distances, order, 1)

    def _start(self, keys: NDArray[np.int64], latents: NDArray[np.float32]) -> None:
        self._keys, self._latents = keys, [latents]
        self._removed = 0
        self._index: Any = faiss.IndexFlatL2(self._dimension)
        if self._resources is not None:
            number = int(self._device.partition(":")[2] or 0)
            self._index = faiss.index_cpu_to_gpu(self._resources, number, self._index)
        self._index.add(latents)
