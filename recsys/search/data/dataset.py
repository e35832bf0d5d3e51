"""The arrays of a search data set: a catalogue, queries, and requests with what was right.

Reading and writing them needs numpy and safetensors alone.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from data_prep.errors import InputError

__all__ = ["NO_QUERY", "SPLITS", "Rows", "SearchDataset", "Split"]

FORMAT = 1
NO_QUERY = -1
NO_ITEM = -1
Split = Literal["train", "validation", "test", "shown"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test", "shown")
Rows = NDArray[np.int64]
NAMES = ("item_ids", "queries")
OPTIONAL = ("query_vectors", "codes", "codebooks", "vectors")
# Arrays that a file may hold with half the bits.
HALVED = ("query_vectors", "vectors")


@dataclass(frozen=True, eq=False)
class SearchDataset:
    """A catalogue, the texts of queries, and requests.

    A request is a query, or none, after a history of items, or none. Its judged items have gains;
    those that answer it are positive. Items, queries and requests are numbered from 0.

    Attributes:
        item_ids: the catalogue, n_items ids; all are ranked.
        queries: distinct texts.
        request_query: (R,) int32, the number of each request's query, or `NO_QUERY`.
        request_split: (R,) uint8, a place in `SPLITS`. The judged items of a request `shown` are
            those that a shop showed; they are to be put in order.
        events: (E,) int32, items of all users one after the other.
        history_start, history_end: (R,) int64; a request's history is that slice of `events`.
        judged_offsets: (R + 1,) int64; request r has the judged items `judged_offsets[r]` to
            `judged_offsets[r + 1]`.
        judged, gains, positive: (J,) int32, float32 and bool.
        query_vectors: (n_queries, D) float32, or None.
        codes: (n_items, L) uint16, or None.
        codebooks: (L, K, d) float32, or None.
        vectors: (n_items, D) float32, the items' content vectors, or None.
        codebook_size: K; 0 without codes.
        source: identifies the raw data.
        tokenizer: fingerprint of the tokenizer of the codes; empty without codes.
        encoder: name and revision of the encoder of all vectors; empty without vectors.
    """

    item_ids: tuple[str, ...]
    queries: tuple[str, ...]
    request_query: NDArray[np.int32]
    request_split: NDArray[np.uint8]
    events: NDArray[np.int32]
    history_start: NDArray[np.int64]
    history_end: NDArray[np.int64]
    judged_offsets: NDArray[np.int64]
    judged: NDArray[np.int32]
    gains: NDArray[np.float32]
    positive: NDArray[np.bool_]
    query_vectors: NDArray[np.float32] | None = None
    codes: NDArray[np.uint16] | None = None
    codebooks: NDArray[np.float32] | None = None
    vectors: NDArray[np.float32] | None = None
    codebook_size: int = 0
    source: str = ""
    tokenizer: str = ""
    encoder: tuple[str, str] = field(default=("", ""))

    @property
    def n_items(self) -> int:
        """Items in the catalogue."""
        return len(self.item_ids)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all arrays and notes."""
        digest = hashlib.sha256(json.dumps(self._notes(), sort_keys=True).encode())
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name} {array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @cached_property
    def popularity(self) -> NDArray[np.int64]:
        """(n_items,) int64, how many training requests each item answers."""
        return np.bincount(self.pairs()[1], minlength=self.n_items)

    def requests(self, split: Split) -> Rows:
        """Return the numbers of the requests of a split that a positive item answers."""
        found = np.add.reduceat(
            np.append(self.positive, False), self.judged_offsets[:-1], dtype=np.int64
        )
        found[np.diff(self.judged_offsets) == 0] = 0
        return np.flatnonzero((self.request_split == SPLITS.index(split)) & (found > 0))

    def pairs(self) -> tuple[Rows, Rows]:
        """Return the request and the item of each positive judgement of the training."""
        request = np.repeat(np.arange(len(self.request_split)), np.diff(self.judged_offsets))
        trains = self.positive & (self.request_split[request] == SPLITS.index("train"))
        return request[trains], self.judged[trains].astype(np.int64)

    def histories(self, requests: Rows, length: int) -> Rows:
        """Return the last items of each request's history, oldest first.

        Returns:
            (requests, at most length) int64, padded with -1 at the end.
        """
        end = self.history_end[requests]
        start = np.maximum(self.history_start[requests], end - length)
        columns = np.arange(int((end - start).max(initial=0)))
        at = np.minimum(start[:, None] + columns, max(0, len(self.events) - 1))
        if not len(self.events):
            return np.full((len(requests), 0), NO_ITEM, dtype=np.int64)
        inside = columns < (end - start)[:, None]
        return np.where(inside, self.events[at].astype(np.int64), NO_ITEM)

    def judgements(self, request: int) -> slice:
        """Return the slice of `judged`, `gains` and `positive` that a request has."""
        return slice(int(self.judged_offsets[request]), int(self.judged_offsets[request + 1]))

    def without_history(self) -> Self:
        """Return the data with every history empty; requests without a query are dropped."""
        kept = self.request_query != NO_QUERY
        ends = np.diff(self.judged_offsets)
        chosen = np.repeat(kept, ends)
        zeros = np.zeros(int(kept.sum()), dtype=np.int64)
        return replace(
            self,
            request_query=self.request_query[kept],
            request_split=self.request_split[kept],
            events=self.events[:0],
            history_start=zeros,
            history_end=zeros,
            judged_offsets=np.concatenate([[0], ends[kept].cumsum()]).astype(np.int64),
            judged=self.judged[chosen],
            gains=self.gains[chosen],
            positive=self.positive[chosen],
        )

    def catalogue(self, queries: int) -> Self:
        """Return the items with up to so many queries, drawn at random, and without requests."""
        count = len(self.queries)
        kept = np.sort(np.random.default_rng(0).permutation(count)[:queries])
        nothing = np.zeros(0, dtype=np.int64)
        return replace(
            self,
            queries=tuple(self.queries[number] for number in kept),
            query_vectors=None if self.query_vectors is None else self.query_vectors[kept],
            request_query=self.request_query[:0],
            request_split=self.request_split[:0],
            events=self.events[:0],
            history_start=nothing,
            history_end=nothing,
            judged_offsets=np.zeros(1, dtype=np.int64),
            judged=self.judged[:0],
            gains=self.gains[:0],
            positive=self.positive[:0],
        )

    def without_codes(self) -> Self:
        """Return the data without IDs, codebooks and tokenizer."""
        return replace(self, codes=None, codebooks=None, codebook_size=0, tokenizer="")

    def save(self, path: Path, *, half: bool = False) -> None:
        """Write the data set to one `.safetensors` file.

        Args:
            half: store vectors as float16; they then have another fingerprint.
        """
        arrays = self._arrays()
        if half:
            arrays |= {n: arrays[n].astype(np.float16) for n in HALVED if n in arrays}
        notes = {name: json.dumps(value) for name, value in self._notes().items()}
        path.write_bytes(save(arrays, notes))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the file cannot be read or is not a search data set.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                notes = {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError) as error:
            raise InputError(f"{path} cannot be read as a search data set: {error}") from error
        if notes.get("search_format") != FORMAT:
            raise InputError(f"{path} is no search data set of format {FORMAT}; prepare it again")
        fields: dict[str, Any] = {
            name: _unpacked(arrays.pop(name), arrays.pop(f"{name}.ends")) for name in NAMES
        }
        for name in HALVED:
            if name in arrays:
                arrays[name] = arrays[name].astype(np.float32)
        del notes["search_format"]
        notes["encoder"] = tuple(notes["encoder"])
        try:
            return cls(**fields, **arrays, **notes)
        except TypeError as error:
            raise InputError(f"{path} is damaged: {error}; prepare the data again") from error

    def _arrays(self) -> dict[str, NDArray[Any]]:
        needed = (
            "request_query", "request_split", "events", "history_start", "history_end",
            "judged_offsets", "judged", "gains", "positive",
        )  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in needed}
        for name in OPTIONAL:
            if (array := getattr(self, name)) is not None:
                arrays[name] = array
        for name in NAMES:
            arrays[name], arrays[f"{name}.ends"] = _packed(getattr(self, name))
        return arrays

    def _notes(self) -> dict[str, Any]:
        return {
            "search_format": FORMAT,
            "codebook_size": self.codebook_size,
            "source": self.source,
            "tokenizer": self.tokenizer,
            "encoder": list(self.encoder),
        }


def _packed(names: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    encoded = [name.encode() for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), ends


def _unpacked(text: NDArray[np.uint8], ends: NDArray[np.int64]) -> tuple[str, ...]:
    whole, bounds = text.tobytes(), [0, *ends.tolist()]
    return tuple(whole[a:b].decode() for a, b in pairwise(bounds))
