"""The index over semantic IDs: exact, or over lists of prefixes for many items."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from data_prep.embedding.devices import resolve_device
from data_prep.errors import InputError
from tokenizer.ids.semantic_id import Codes
from tokenizer.index.prefix_lists import MOST_CODEWORDS, PrefixLists
from tokenizer.index.residual_index import ResidualIndex
from tokenizer.index.shared_lock import SharedLock

__all__ = ["EXACT", "Probing", "SemanticIndex", "faiss_build", "resolve_index_device"]

EXACT_BELOW = 100_000  # items
RECALL = 0.99  # of the ten nearest, the least share that a search of some lists finds
# The sample measures recall only roughly, so that it must show a little more.
AIM = 0.995
SAMPLE, NEAREST = 200, 10


@dataclass(frozen=True)
class Probing:
    """How many lists a search scans, and what it finds by that.

    Attributes:
        lists: number of lists that it scans; 0 for all, which is exact.
        recall: measured share of the ten nearest items that it finds, for items of the catalogue.
        items: number of items when it was measured.
    """

    lists: int = 0
    recall: float = 1.0
    items: int = 0


EXACT = Probing()


class SemanticIndex:
    """Finds the nearest items of a latent, with the tokenizer's frozen codebooks.

    The stored code of an item is its semantic ID (`tokenizer.index.prefix_lists`); with more than
    256 codewords a level, and on a GPU, it is another index (`tokenizer.index.residual_index`).
    Distances equal those of `faiss.IndexFlatL2` over the decoded latents.

    Search is exact below `EXACT_BELOW` items. From there on it scans so many lists that it finds
    99 % of the ten nearest; the number is chosen by a measurement on items of the index, and again
    each time that their number has doubled. Searches run side by side.

    Attributes:
        probing: how many lists a search scans.
    """

    def __init__(
        self,
        codebooks: NDArray[np.float32],
        device: str = "cpu",
        exact_below: int = EXACT_BELOW,
    ) -> None:
        """Make an empty index over codebooks (L, K, d).

        Args:
            device: searches the index, as `resolve_index_device` returns it.
            exact_below: number of items from which on it scans some lists only.
        """
        self.probing = EXACT
        self._exact_below = exact_below
        self._lock = SharedLock()
        self._index: PrefixLists | ResidualIndex
        if device == "cpu" and codebooks.shape[1] <= MOST_CODEWORDS:
            self._index = PrefixLists(codebooks)
        else:
            self._index = ResidualIndex(codebooks, device)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def bytes_per_item(self) -> int:
        """Bytes of one item's codes in `contents`."""
        return self._index.bytes_per_item

    @property
    def lists(self) -> int:
        """Number of lists that hold items; 0 for an index without lists."""
        return self._index.used if isinstance(self._index, PrefixLists) else 0

    def add(self, keys: NDArray[np.int64], codes: Codes, *, measure: bool = True) -> None:
        """Add items by number: keys (n,), codes (n, L).

        Args:
            measure: whether to measure if the items have doubled; else `measure_if_grown` does
                after further items.
        """
        with self._lock.writing():
            self._index.add(np.ascontiguousarray(keys, np.int64), codes)
        if measure:
            self.measure_if_grown()

    def add_packed(
        self, keys: NDArray[np.int64], packed: NDArray[np.uint8], probing: Probing = EXACT
    ) -> None:
        """Add items by number: keys (n,), and codes as `contents` returns them.

        Args:
            probing: what was measured for these items before.

        Raises:
            ValueError: the codes have another width.
        """
        if packed.shape != (len(keys), self.bytes_per_item):
            raise ValueError(f"codes {packed.shape} are not {self.bytes_per_item} bytes an item")
        with self._lock.writing():
            if isinstance(self._index, PrefixLists):
                self._index.add(keys, packed.astype(np.uint16))
            else:
                self._index.add_packed(keys, packed)
            self.probing = probing
        self.measure_if_grown()

    def contents(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the keys (n,) and the codes of all items, (n, bytes_per_item)."""
        with self._lock.reading():
            return self._index.contents()

    def remove(self, keys: NDArray[np.int64]) -> None:
        """Remove items by number: keys (n,); unknown keys are ignored."""
        if len(keys):
            with self._lock.writing():
                self._index.remove(keys)

    def search(
        self, latents: NDArray[np.float32], k: int, *, exact: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the keys (n, k) of the items nearest to latents (n, d), and squared distances.

        With fewer than k items, the missing keys are −1.

        Args:
            exact: scan all lists.
        """
        queries = np.ascontiguousarray(latents, np.float32)
        with self._lock.reading():
            if isinstance(self._index, ResidualIndex):
                return self._index.search(queries, k)
            probes = 0 if exact else self.probing.lists
            return self._index.search(queries, k, probes or self._index.used)

    def measure_if_grown(self) -> None:
        """Choose the number of lists that a search scans, if the items have doubled."""
        if len(self) < max(self._exact_below, 2 * self.probing.items):
            return
        if isinstance(self._index, ResidualIndex):
            return
        with self._lock.reading():
            self.probing = _measured(self._index)


def _measured(index: PrefixLists) -> Probing:
    """Find the least number of lists that reach `AIM`."""
    keys, _ = index.contents()
    drawn = np.random.default_rng(0).choice(keys, min(SAMPLE, len(keys)), replace=False)
    queries = index.latents(drawn)
    _, nearest = index.search(queries, NEAREST, index.used)
    # Items with equal codes are equally near: any of them will do.
    within = nearest[:, -1:] * (1 + 1e-5) + 1e-6

    def recall(lists: int) -> float:
        _, found = index.search(queries, NEAREST, lists)
        return float((found <= within).mean())

    lists = _least(lambda probes: recall(probes) >= AIM, index.used)
    if lists >= index.used:
        return Probing(items=len(index))
    return Probing(lists, recall(lists), len(index))


def _least(enough: Callable[[int], bool], most: int) -> int:
    """Return about the least number that is enough: of the powers of √2, up to `most`."""
    number = 8.0
    while number < most and not enough(round(number)):
        number *= math.sqrt(2)
    return min(round(number), most)


def resolve_index_device(name: str) -> str:
    """Return the device for index search, as `data_prep.embedding.devices.resolve_device` does.

    `auto` is a GPU if torch and FAISS both support one.

    Raises:
        InputError: as `resolve_device`; the installed FAISS does not support GPUs.
    """
    gpu = hasattr(faiss, "StandardGpuResources")
    if name == "auto" and not gpu:
        return "cpu"
    device = resolve_device(name)
    if device != "cpu" and not gpu:
        raise InputError(
            f"--index-device {name}: {faiss_build()} does not support GPUs; install faiss-gpu in "
            f"place of faiss-cpu (make install ACCELERATOR=gpu), or give cpu"
        )
    return device


def faiss_build() -> str:
    """Return the installed FAISS as text, such as `"faiss 1.15.1 (CPU)"`."""
    kind = "GPU" if hasattr(faiss, "StandardGpuResources") else "CPU"
    return f"faiss {faiss.__version__} ({kind})"
