"""Items → IDs for many requests at once: look up, embed, quantize, register, in micro-batches."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from service.engine.admission import Admission
from service.engine.batching import Batcher
from service.engine.capacity import Capacity
from service.engine.catalogue import Catalogue
from service.observability.telemetry import Telemetry
from service.registry import RegisteredItem

__all__ = ["ItemToRegister", "Prepared", "Tokenizing"]

Entry = tuple[RegisteredItem, bool]
MOST_LOOKED_UP = 500
MOST_REGISTERED = 512


@dataclass(frozen=True)
class ItemToRegister:
    """An item by its vector (D,), or where that is None by its fields."""

    item_id: str
    title: str | None
    vector: NDArray[np.float32] | None
    fields: Mapping[str, Any]


class _Row(NamedTuple):
    item_id: str
    title: str | None
    vector: NDArray[np.float32]


class Prepared(NamedTuple):
    """Items of one call: their item_ids, those that are registered, and the others' vectors."""

    item_ids: list[str]
    known: dict[str, RegisteredItem]
    rows: list[_Row]


class Tokenizing:
    """What requests await: each stage is one thread, the encoder one a core, that serves them all.

    An item's answer is the same whatever is tokenized beside it: vectors do not depend on the batch
    (`data_prep.embed`), nor do codes (`tokenizer.pipeline`), and the registry decides.

    Attributes:
        admission: counts the items of requests that tokenize.
        reads: counts the items of requests that only look up.
        stopping: whether the process has been told to end.
    """

    def __init__(self, catalogue: Catalogue, pace: Capacity, telemetry: Telemetry) -> None:
        self.catalogue = catalogue
        self._timed = telemetry.timed
        self._tokenized = telemetry.tokenized
        self._registered = telemetry.of_new_items(catalogue.pipeline)
        self.stopping = False
        self.pace = pace
        self.admission = Admission(pace.queue, pace.timeout)
        self.reads = Admission(pace.queue, pace.timeout)
        began, down = telemetry.began, (OperationalError, NoConnectionError)
        threads = pace.threads or torch.get_num_threads()
        self._part = max(1, pace.texts // threads)
        self._reader = Batcher(
            "registry", self._read, MOST_LOOKED_UP, pace.wait,
            for_all=down, began=began("registry"),
        )  # fmt: skip
        # Each thread of ours is one of torch's, and so are those that the process makes later:
        # blocks of the tokenizer are small, and texts are encoded quicker side by side than by
        # threads that wait for each other.
        self._writer = Batcher(
            "tokenizer", self._write, MOST_REGISTERED, pace.wait,
            start=self._begin_to_write, for_all=down, began=began("quantize"),
        )  # fmt: skip
        self._encoder = Batcher(
            "encoder", self._embed, self._part, pace.wait,
            start=lambda: torch.set_num_threads(1), began=began("encode"), threads=threads,
        )  # fmt: skip
        telemetry.depth("registry", lambda: self._reader.waiting)
        telemetry.depth("quantize", lambda: self._writer.waiting)
        telemetry.depth("encode", lambda: self._encoder.waiting)
        telemetry.depth("admitted", lambda: self.admission.items)

    async def look_up(self, item_ids: Sequence[str]) -> dict[str, RegisteredItem]:
        """Return the items that are registered, by item_id."""
        known = self.catalogue.known
        newest = known.newest
        found = await self._reader.do(item_ids, len(item_ids))
        known.put(found.values(), newest)
        return found

    async def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the vector (D,) of each text.

        Raises:
            InputError: the tokenizer has no text encoder.
        """
        vectors: list[NDArray[np.float32]] = []
        # So many at a time, that requests with many texts and with few take turns.
        for first in range(0, len(texts), self.pace.texts):
            some = texts[first : first + self.pace.texts]
            parts = [some[at : at + self._part] for at in range(0, len(some), self._part)]
            done = await asyncio.gather(*(self._encoder.do(part, len(part)) for part in parts))
            vectors.extend(vector for part in done for vector in part)
        return vectors

    async def tokenize(self, items: Sequence[ItemToRegister]) -> list[Entry]:
        """Return each item's entry and whether it is new; registered items are not encoded again.

        All items are registered or, after an error, none.

        Args:
            items: each item_id once.

        Raises:
            InputError: a new item without text or with a vector that cannot be tokenized, or no
                codes are free for it (policy reassign).
        """
        return await self.register(await self.prepare(items))

    async def prepare(self, items: Sequence[ItemToRegister]) -> Prepared:
        """Look up the items that have text, and encode those that are new.

        Args:
            items: each item_id once.

        Raises:
            InputError: a new item without text.
        """
        known: dict[str, RegisteredItem] = {}
        if any(item.vector is None for item in items):
            known = await self.look_up([item.item_id for item in items])
        fresh = [item for item in items if item.item_id not in known]
        texts = [self.catalogue.text(item.fields) for item in fresh if item.vector is None]
        embedded = iter(await self.embed(texts) if texts else ())
        rows = [
            _Row(i.item_id, i.title, next(embedded) if i.vector is None else i.vector)
            for i in fresh
        ]
        return Prepared([item.item_id for item in items], known, rows)

    async def register(self, prepared: Prepared) -> list[Entry]:
        """Register prepared items; calls that begin one after the other register in that order.

        Raises:
            InputError: a vector cannot be tokenized, or no codes are free (policy reassign).
        """
        known, rows = prepared.known, prepared.rows
        written = iter(await self._writer.do(rows, len(rows)) if rows else ())
        entries = [
            (known[item_id], False) if item_id in known else next(written)
            for item_id in prepared.item_ids
        ]
        self._tokenized(len(entries), sum(new for _, new in entries))
        return entries

    def close(self) -> None:
        """Finish what is being done."""
        for stage in (self._reader, self._encoder, self._writer):
            stage.close()

    def _begin_to_write(self) -> None:
        torch.set_num_threads(1)
        # What a first call prepares is not for a request to wait for.
        self.catalogue.pipeline.tokenize(self.catalogue.pipeline.any_vector()[None, :])

    def _read(self, jobs: Sequence[Sequence[str]]) -> list[dict[str, RegisteredItem]]:
        with self._timed("registry"):
            found = self.catalogue.registry.get(list({item_id for job in jobs for item_id in job}))
        return [{key: found[key] for key in job if key in found} for job in jobs]

    def _embed(self, jobs: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        with self._timed("encode"):
            vectors = self.catalogue.pipeline.embed([text for job in jobs for text in job])
        ends = list(accumulate(len(job) for job in jobs))
        return np.split(vectors, ends[:-1])

    def _write(self, jobs: Sequence[Sequence[_Row]]) -> list[list[Entry]]:
        """Register the items of many requests in one transaction, each item for its first one."""
        registry, pipeline = self.catalogue.registry, self.catalogue.pipeline
        with self._timed("registry"):
            known = registry.get(list({row.item_id for job in jobs for row in job}))
        entries = {item_id: (entry, False) for item_id, entry in known.items()}
        fresh: dict[str, _Row] = {}
        for job in jobs:
            for row in job:
                if row.item_id not in known:
                    fresh.setdefault(row.item_id, row)
        if fresh:
            vectors = np.stack([row.vector for row in fresh.values()])
            with self._timed("quantize"):
                pipeline.check(vectors, list(fresh))
                tokenized = pipeline.tokenize(vectors)
            titled = [(row.item_id, row.title) for row in fresh.values()]
            with self._timed("registry"):
                added = self.catalogue.register(titled, tokenized)
            self._registered([entry.distortion for entry, new in added if new])
            entries |= zip(fresh, added, strict=True)
        answers = []
        for job in jobs:
            answers.append([entries[row.item_id] for row in job])
            for row in job:
                entries[row.item_id] = (entries[row.item_id][0], False)
        return answers
