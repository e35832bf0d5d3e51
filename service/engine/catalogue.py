"""The catalogue of one tokenizer: its pipeline, its registry and its index."""

import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from data_prep.errors import InputError
from service.engine.browsing.named_prefixes import NamedPrefixes
from service.engine.index_file import IndexContents, read_index, write_index
from service.engine.item_cache import ItemCache
from service.engine.neighbours.nearest import Nearest, Neighbour, Question
from service.engine.neighbours.recall import RecallMeter
from service.registry import NewItem, RegisteredItem, Registry
from service.registry.vectors import packed
from tokenizer.ids.policy import TakenCodes
from tokenizer.ids.semantic_id import Codes
from tokenizer.index.semantic_index import SemanticIndex
from tokenizer.pipeline import Pipeline, Tokenized

__all__ = ["MOST_KEPT", "Catalogue", "ItemToRegister"]

SAVE_CHANGES = 10_000  # changes of the index after which it is saved
SAVE_SECONDS = 60  # seconds after which a changed index is saved
logger = logging.getLogger("semid")
MOST_KEPT = 1_000_000  # items whose vectors are kept, by default


@dataclass(slots=True)
class ItemToRegister:
    """An item with a vector that can be tokenized, or with content text that must be encoded first.

    Attributes:
        vector: (D,); None until the text is encoded.
    """

    item_id: str
    title: str | None
    text: str = ""
    vector: NDArray[np.float32] | None = None


class Catalogue:
    """Registers items, and finds items and their neighbours.

    The index follows the registry: before each search it takes in the registry's changes since the
    last search, whichever process made them.

    Attributes:
        known: cache of items that were looked up; following the registry keeps it correct.
        nearest: finds the nearest items, and has the items' kept vectors.
        prefixes: names prefixes.
        recall: measures how many of them are found.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        registry: Registry,
        index_file: Path | None = None,
        index_device: str = "cpu",
        keep_vectors: int = MOST_KEPT,
    ) -> None:
        """Start from the saved index if it belongs to this registry, else from an empty one.

        Args:
            index_file: file in which the index is saved; None to save none.
            index_device: device that searches the index, as `resolve_index_device` returns it.
            keep_vectors: number of items up to which the vectors of new items are kept.
        """
        self.pipeline = pipeline
        self.registry = registry
        self.known = ItemCache()
        self._index = SemanticIndex(pipeline.codebooks, index_device)
        self.nearest = Nearest(pipeline, registry, self._index.search)
        self.prefixes = NamedPrefixes(pipeline, registry, self.nearest.vectors)
        self.recall = RecallMeter(self.nearest, self.indexed)
        self._keep_vectors = keep_vectors
        self._newest = 0  # number of the last change that the index has taken in
        self._last = 0  # largest item number in those changes
        self._following = threading.Lock()
        self._read_at = -math.inf  # when the last reading of the changes began
        self._index_file = index_file
        self._saved = (0, time.monotonic())  # last change in the file, and when it was saved
        if index_file is not None and index_file.exists():
            self._restore(index_file)

    def register(
        self, items: Sequence[ItemToRegister], tokenized: Tokenized
    ) -> list[tuple[RegisteredItem, bool]]:
        """Register items in one transaction; return each item's entry and whether it is new.

        Args:
            items: each item_id once.
            tokenized: one row for each item.

        Raises:
            InputError: no codes are free (policy reassign); nothing is registered then.
        """
        codes, distortions = tokenized.codes.tolist(), tokenized.distortion.tolist()
        room = self.indexed() + len(items) <= self._keep_vectors
        kept = packed(tokenized.vectors) if room else [None] * len(items)
        new = [
            NewItem(item.item_id, tuple(own), distortion, item.title, vector=vector)
            for item, own, distortion, vector in zip(items, codes, distortions, kept, strict=True)
        ]

        def reassign(rows: Sequence[int], taken: TakenCodes) -> tuple[Codes, NDArray[np.float32]]:
            given = self.pipeline.reassign(tokenized.take(rows), taken)
            return given.codes, given.distortion

        policy = reassign if self.pipeline.config.policy == "reassign" else None
        return self.registry.add(new, policy)

    def similar(self, questions: Sequence[Question]) -> list[list[Neighbour] | None]:
        """Return up to k registered items for each question; None for an item that is unknown."""
        self.follow()
        asked = {each.of for each in questions if isinstance(each.of, str)}
        items = {name: item for name in asked if (item := self.known.get(name)) is not None}
        if unread := asked - items.keys():
            newest = self.known.newest
            found = self.registry.get(unread)
            self.known.put(found.values(), newest)
            items |= found
        return self.nearest.answer(questions, items)

    def check(self) -> None:
        """Check that the encoder, the tokenizer and the registry work.

        Raises:
            Exception: one of them fails.
        """
        self.registry.check()
        vectors = self.pipeline.any_vector()[None, :]
        if self.pipeline.config.encoder is not None:
            vectors = self.pipeline.embed(["ready"])
        self.pipeline.tokenize(vectors)

    def follow(self) -> int:
        """Take in the registry's changes and return how many items the index holds."""
        asked = time.monotonic()
        with self._following:
            if self._read_at > asked:  # another thread has read the changes in the meantime
                return len(self._index)
            began, first = time.monotonic(), self._newest == 0
            self.nearest.memory.load()
            for changes in self.registry.changes(self._newest):
                self.known.changed(changes.numbers, changes.newest)
                self._index.remove(changes.numbers[changes.numbers <= self._last])
                here = np.logical_not(changes.removed)
                self._index.add(changes.numbers[here], changes.codes[here], measure=False)
                self.nearest.memory.take(changes, first=first)
                self._newest = changes.newest
                self._last = max(self._last, int(changes.numbers.max()))
            self._index.measure_if_grown()
            self.known.followed(began)
            self._read_at = began
            return len(self._index)

    def indexed(self) -> int:
        """Return how many items the index holds; do not follow the registry."""
        return len(self._index)

    def searched(self) -> dict[str, Any]:
        """Return how the index is searched, as `service.http.messages.schemas.IndexDescription`."""
        probing = self._index.probing
        return {
            "items": len(self._index),
            "lists": self._index.lists,
            "scanned_lists": probing.lists,
            "recall_at_10": probing.recall,
        }

    def save(self) -> None:
        """Save the index if it has changed since the last time; log a failure."""
        if self._index_file is None:
            return
        try:
            self.follow()
            with self._following:
                newest = self._newest
                keys, packed = self._index.contents()
                probing = self._index.probing
            anchor = self.registry.anchor(newest)
            # No anchor: the item has just changed again. The next save will do.
            if anchor is not None and newest != self._saved[0]:
                known = self.pipeline.fingerprint, self.registry.tokenizer.origin
                write_index(self._index_file, IndexContents(keys, packed, anchor, probing), *known)
                self._saved = (newest, time.monotonic())
        except (InputError, SQLAlchemyError) as error:
            logger.warning("the index was not saved: %s", error)
            self._saved = (self._saved[0], time.monotonic())

    def save_sometimes(self) -> None:
        """Save the index after `SAVE_CHANGES` changes, or `SAVE_SECONDS` after one."""
        change, since = self._saved
        changes = self._newest - change
        if changes >= SAVE_CHANGES or (changes and time.monotonic() - since >= SAVE_SECONDS):
            self.save()

    def _restore(self, file: Path) -> None:
        known = self.pipeline.fingerprint, self.registry.tokenizer.origin
        try:
            found = read_index(file, *known)
            if self.registry.anchor(found.anchor.change) == found.anchor:
                self._index.add_packed(found.keys, found.packed, found.probing)
            else:
                logger.info("%s is behind the registry; the index is rebuilt", file)
                return
        except (ValueError, OSError) as error:
            logger.warning("%s is not used: %s; the index is rebuilt", file, error)
            return
        self._newest = found.anchor.change
        self._last = max(found.anchor.number, int(found.keys.max(initial=0)))
        self._saved = (self._newest, time.monotonic())
