"""Exact search over codes that are decoded while it searches, or once, on a GPU."""

import threading

import faiss
import numpy as np
from numpy.typing import NDArray

from tokenizer.ids.semantic_id import Codes
from tokenizer.index.decoded_index import DecodedIndex

__all__ = ["ResidualIndex"]


class ResidualIndex:
    """`faiss.IndexResidualQuantizer`, or on a GPU the decoded latents; one thread at a time.

    It serves codebooks of more than 256 codewords, and GPUs. It keeps ⌈L log₂ K / 8⌉ bytes an item
    (5 at L = 4, K = 1024), and decodes all items for every search.

    FAISS has no residual-quantizer index for GPUs. With a GPU, each item is decoded once, and the
    GPU searches the decoded latents, which take 4 d bytes an item.
    """

    def __init__(self, codebooks: NDArray[np.float32], device: str = "cpu") -> None:
        """Make an empty index over codebooks (L, K, d).

        Args:
            device: searches the index, as `resolve_index_device` returns it.
        """
        levels, size, dimension = codebooks.shape
        bits = max(1, (size - 1).bit_length())
        filled = np.zeros((levels, 2**bits, dimension), dtype=np.float32)
        filled[:, :size] = codebooks  # no code refers to rows past K
        index = faiss.IndexResidualQuantizer(  # type: ignore[call-overload]  # its stub lacks one
            dimension, levels, bits, faiss.METRIC_L2, faiss.AdditiveQuantizer.ST_decompress
        )
        faiss.copy_array_to_vector(filled.ravel(), index.rq.codebooks)
        index.rq.is_trained = index.is_trained = True
        self._rq = index.rq
        self._index = faiss.IndexIDMap(index)
        self._owned = index  # IndexIDMap does not keep it alive
        self._lock = threading.Lock()
        self._decoded = None if device == "cpu" else DecodedIndex(dimension, device)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def bytes_per_item(self) -> int:
        """Bytes of one item's stored codes."""
        return int(self._rq.code_size)

    def add(self, keys: NDArray[np.int64], codes: Codes) -> None:
        """Add items by number: keys (n,), codes (n, L)."""
        wanted = np.ascontiguousarray(codes, dtype=np.int32)
        packed = np.empty((len(wanted), self.bytes_per_item), dtype=np.uint8)
        self._rq.pack_codes(len(wanted), faiss.swig_ptr(wanted), faiss.swig_ptr(packed))
        self.add_packed(keys, packed)

    def add_packed(self, keys: NDArray[np.int64], packed: NDArray[np.uint8]) -> None:
        """Add items by number: keys (n,), and codes packed as `contents` returns them.

        Raises:
            ValueError: the codes have another width.
        """
        if packed.shape != (len(keys), self.bytes_per_item):
            raise ValueError(f"codes {packed.shape} are not {self.bytes_per_item} bytes an item")
        with self._lock:
            keys = np.ascontiguousarray(keys, dtype=np.int64)
            self._index.add_sa_codes(packed, keys)
            if self._decoded is not None:
                self._decoded.add(keys, self._rq.decode(np.ascontiguousarray(packed)))

    def contents(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the keys (n,) and the packed codes (n, bytes_per_item) of all items."""
        with self._lock:
            keys = faiss.vector_to_array(self._index.id_map)
            packed = faiss.vector_to_array(self._owned.codes)
        return keys, packed.reshape(-1, self.bytes_per_item)

    def remove(self, keys: NDArray[np.int64]) -> None:
        """Remove items by number: keys (n,); unknown keys are ignored."""
        if len(keys):
            with self._lock:
                self._index.remove_ids(faiss.IDSelectorBatch(np.ascontiguousarray(keys, np.int64)))
                if self._decoded is not None:
                    self._decoded.remove(keys)

    def search(
        self, latents: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the keys (n, k) of the items nearest to latents (n, d), and squared distances.

        With fewer than k items, the missing keys are −1.
        """
        queries = np.ascontiguousarray(latents, np.float32)
        with self._lock:
            found = None if self._decoded is None else self._decoded.search(queries, k)
            if found is not None:
                return found
            distances, keys = self._index.search(queries, k)
        return keys, distances
