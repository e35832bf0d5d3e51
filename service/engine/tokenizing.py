"""Tokenizes the items of many requests in micro-batches: look up, embed, quantize, register."""

import asyncio
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from data_prep.embedding.batch_invariance import usable_threads
from service.engine.admission import Admission
from service.engine.batching import Batcher
from service.engine.capacity import Capacity
from service.engine.catalogue import Catalogue, ItemToRegister
from service.engine.neighbours.nearest import Neighbour, Question
from service.observability.telemetry import Telemetry
from service.registry import RegisteredItem

__all__ = ["Prepared", "Tokenizing"]

Entry = tuple[RegisteredItem, bool]
MOST_LOOKED_UP = 500
MOST_REGISTERED = 512
# Questions that are answered together; a batch of more would keep its first one waiting.
MOST_ASKED, NEIGHBOURS = 16, 64  # so many neighbours more count as a further question


class Prepared(NamedTuple):
    """The items of one call: each is in `known` (the registered items) or has a vector."""

    items: Sequence[ItemToRegister]
    known: dict[str, RegisteredItem]


class Tokenizing:
    """Looks up and tokenizes items for all requests.

    All requests share its stages. Each stage has one thread, the encoder one for each core.

    An item's answer does not depend on the other items of its batch: neither vectors
    (`data_prep.embedding.embed`) nor codes (`tokenizer.pipeline`) do, and the registry keeps the
    first ID.

    Attributes:
        admission: admits the items of requests that tokenize.
        reads: admits the items of requests that only look up.
        stopping: whether the process has been told to end.
    """

    def __init__(self, catalogue: Catalogue, capacity: Capacity, telemetry: Telemetry) -> None:
        self.catalogue = catalogue
        self._timed = telemetry.timed
        self._tokenized = telemetry.tokenized
        self._registered = telemetry.of_new_items(catalogue.pipeline)
        self.stopping = False
        self.capacity = capacity
        self.admission = Admission(capacity.queue, capacity.timeout)
        self.reads = Admission(capacity.queue, capacity.timeout)
        on_batch, down = telemetry.batch_observer, (OperationalError, NoConnectionError)
        threads = capacity.threads or usable_threads()
        self._part = max(1, capacity.texts // threads)
        self._reader = Batcher(
            "registry", self._read, MOST_LOOKED_UP, capacity.wait,
            for_all=down, on_batch=on_batch("registry"),
        )  # fmt: skip
        # Each stage computes with one torch thread: the tokenizer's blocks are small, and several
        # texts side by side are encoded faster than one text by several threads.
        self._writer = Batcher(
            "tokenizer", self._write, MOST_REGISTERED, capacity.wait,
            start=self._begin_to_write, for_all=down, on_batch=on_batch("quantize"),
        )  # fmt: skip
        self._encoder = Batcher(
            "encoder", self._embed, self._part, capacity.wait,
            on_batch=on_batch("encode"), threads=threads,
        )  # fmt: skip
        self._finder = Batcher(
            "similar", self._find, MOST_ASKED,
            for_all=down, on_batch=on_batch("similar"), threads=threads,
        )  # fmt: skip
        telemetry.expose_waiting("similar", lambda: self._finder.waiting)
        telemetry.expose_waiting("registry", lambda: self._reader.waiting)
        telemetry.expose_waiting("quantize", lambda: self._writer.waiting)
        telemetry.expose_waiting("encode", lambda: self._encoder.waiting)
        telemetry.expose_waiting("admitted", lambda: self.admission.items)

    async def look_up(self, item_ids: Sequence[str]) -> dict[str, RegisteredItem]:
        """Return those of the items that are registered, by item_id."""
        known = self.catalogue.known
        newest = known.newest
        found = await self._reader.do(item_ids, len(item_ids))
        known.put(found.values(), newest)
        return found

    async def tokenize(self, items: Sequence[ItemToRegister]) -> list[Entry]:
        """Return each item's entry and whether it is new; do not encode registered items again.

        Either all items are registered or, after an error, none.

        Args:
            items: each item_id once.

        Raises:
            InputError: the vector of a new item's text cannot be tokenized, or no codes are free
                for it (policy reassign).
        """
        return await self.register(await self.prepare(items))

    async def prepare(self, items: Sequence[ItemToRegister]) -> Prepared:
        """Look up the items that have text, and encode those that are new.

        Args:
            items: each item_id once.

        Raises:
            InputError: the vector of a new item's text cannot be tokenized.
        """
        by_text = [item for item in items if item.vector is None]
        known = await self.look_up([item.item_id for item in by_text]) if by_text else {}
        await self._encode([item for item in by_text if item.item_id not in known])
        return Prepared(items, known)

    async def register(self, prepared: Prepared) -> list[Entry]:
        """Register prepared items; calls register in the order in which they begin.

        Raises:
            InputError: no codes are free (policy reassign).
        """
        known = prepared.known
        fresh = [item for item in prepared.items if item.item_id not in known]
        written = iter(await self._writer.do(fresh, len(fresh)) if fresh else ())
        entries = [
            (known[item.item_id], False) if item.item_id in known else next(written)
            for item in prepared.items
        ]
        self._tokenized(len(entries), sum(new for _, new in entries))
        return entries

    async def similar(self, question: Question) -> list[Neighbour] | None:
        """Return up to k registered items nearest to an item or a vector; None: it is unknown."""
        return await self._finder.do(question, 1 + question.k // NEIGHBOURS)

    async def vector_of(self, text: str) -> NDArray[np.float32]:
        """Return the vector (D,) of a text.

        Raises:
            InputError: the tokenizer has no text encoder, or cannot tokenize the vector.
        """
        item = ItemToRegister(text, None, text)
        await self._encode([item])
        assert item.vector is not None
        return item.vector

    def close(self) -> None:
        """Finish the running batches and end the threads."""
        for stage in (self._reader, self._encoder, self._writer, self._finder):
            stage.close()

    def _begin_to_write(self) -> None:
        # The first call is slow, because it prepares the pipeline; no request should wait for it.
        self.catalogue.pipeline.tokenize(self.catalogue.pipeline.any_vector()[None, :])

    def _read(self, jobs: Sequence[Sequence[str]]) -> list[dict[str, RegisteredItem]]:
        with self._timed("registry"):
            found = self.catalogue.registry.get(list({item_id for job in jobs for item_id in job}))
        return [{key: found[key] for key in job if key in found} for job in jobs]

    def _find(self, jobs: Sequence[Question]) -> list[list[Neighbour] | None]:
        with self._timed("similar"):
            return self.catalogue.similar(jobs)

    async def _encode(self, items: Sequence[ItemToRegister]) -> None:
        """Set each item's vector to the embedding of its text."""
        # Only `texts` at a time, so that a request with many texts takes turns with the others.
        for first in range(0, len(items), self.capacity.texts):
            some = items[first : first + self.capacity.texts]
            parts = [some[at : at + self._part] for at in range(0, len(some), self._part)]
            done = await asyncio.gather(*(self._encoder.do(part, len(part)) for part in parts))
            vectors = (vector for part in done for vector in part)
            for item, vector in zip(some, vectors, strict=True):
                item.vector = vector

    def _embed(self, jobs: Sequence[Sequence[ItemToRegister]]) -> list[NDArray[np.float32]]:
        items = [item for job in jobs for item in job]
        with self._timed("encode"):
            vectors = self.catalogue.pipeline.embed([item.text for item in items], threads=1)
        self.catalogue.pipeline.check(vectors, [item.item_id for item in items])
        ends = list(accumulate(len(job) for job in jobs))
        return np.split(vectors, ends[:-1])

    def _write(self, jobs: Sequence[Sequence[ItemToRegister]]) -> list[list[Entry]]:
        """Register the items of many requests in one transaction.

        An item that several requests hold is new for the first of them only.
        """
        # Items with text have been looked up already. If another request has registered one since,
        # the registry returns the entry that exists.
        asked = {item.item_id for job in jobs for item in job if not item.text}
        entries = {item_id: (entry, False) for item_id, entry in self._known(asked).items()}
        fresh: dict[str, ItemToRegister] = {}
        for job in jobs:
            for item in job:
                if item.item_id not in entries:
                    fresh.setdefault(item.item_id, item)
        if fresh:
            entries |= zip(fresh, self._register(list(fresh.values())), strict=True)
        answers = []
        for job in jobs:
            answers.append([entries[item.item_id] for item in job])
            for item in job:
                entries[item.item_id] = (entries[item.item_id][0], False)
        return answers

    def _known(self, item_ids: set[str]) -> dict[str, RegisteredItem]:
        if not item_ids:
            return {}
        with self._timed("registry"):
            return self.catalogue.registry.get(item_ids)

    def _register(self, items: Sequence[ItemToRegister]) -> list[Entry]:
        vectors = np.stack([item.vector for item in items if item.vector is not None])
        with self._timed("quantize"):
            tokenized = self.catalogue.pipeline.tokenize(vectors, checked=True)
        with self._timed("registry"):
            added = self.catalogue.register(items, tokenized)
        self._registered([entry.distortion for entry, new in added if new])
        return added
