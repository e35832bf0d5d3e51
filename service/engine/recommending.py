"""Recommenders that follow the registry: they add new items and hide removed ones."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from recsys.recommender import Recommendation, Recommender
from service.engine.catalogue import Catalogue
from service.registry import Changes, RegisteredItem
from tokenizer.ids.semantic_id import assign_suffixes, parse_prefix

__all__ = ["Recommended", "Recommenders", "Recommending"]

Recommended = tuple[Recommendation, RegisteredItem | None]
MOST_TRIES = 16  # suffixes that are tried for an item whose codes another item has


class Recommending:
    """Recommends the next items after a history, from the model's and the registry's items.

    A recommender reads the codes of its own tokenizer. It follows the items of the other tokenizers
    too: an item that only they have is coded again, from the vector that is kept of it.

    Attributes:
        recommender: the model; it reads the items' codes by its own tokenizer.
    """

    def __init__(self, recommender: Recommender, catalogues: Sequence[Catalogue]) -> None:
        """Follow the catalogues, first that of the recommender's tokenizer.

        A model that reads no IDs takes the first catalogue for its own.

        Raises:
            InputError: the model reads the IDs of a tokenizer that has no catalogue here.
        """
        own = [
            catalogue
            for catalogue in catalogues
            if recommender.tokenizer in ("", catalogue.pipeline.fingerprint)
        ]
        if not own:
            recommender.check_tokenizer(catalogues[0].pipeline.fingerprint)
        self.recommender, self._own = recommender, own[0]
        self._catalogues = [own[0], *(each for each in catalogues if each is not own[0])]
        self._newest = [0] * len(self._catalogues)
        self._following = threading.Lock()
        self.follow()

    def recommend(
        self,
        histories: Sequence[Sequence[str]],
        k: int,
        asked: Catalogue,
        *,
        exclude_seen: bool,
        candidates: Sequence[str] | None = None,
        prefix: Sequence[int] = (),
    ) -> list[list[Recommended]]:
        """Return up to k items for each history, best first, with their entries in a registry.

        Args:
            asked: the catalogue of the tokenizer whose IDs are wanted.
            candidates: the only items that may be recommended; None for all.
            prefix: the first codes of those items, by the recommender's own tokenizer.

        Raises:
            InputError: as `Recommender.recommend`.
        """
        found = self.recommender.recommend(
            histories, k, exclude_seen=exclude_seen, candidates=candidates, prefix=prefix
        )
        entries = asked.registry.get({each.item_id for row in found for each in row})
        return [[(each, entries.get(each.item_id)) for each in row] for row in found]

    def prefix(self, text: str) -> tuple[int, ...]:
        """Read the first codes of IDs by the recommender's own tokenizer; none of an empty text.

        Raises:
            InputError: the text is no prefix of that tokenizer's IDs.
        """
        if not text:
            return ()
        own = self._own.pipeline
        return parse_prefix(text, own.levels, own.codebook_size)

    def follow(self) -> None:
        """Take in the registry's changes since the last call, of each tokenizer."""
        with self._following:
            for place, catalogue in enumerate(self._catalogues):
                for changes in catalogue.registry.changes(self._newest[place]):
                    self._take(catalogue, changes)
                    self._newest[place] = changes.newest

    def _take(self, catalogue: Catalogue, changes: Changes) -> None:
        here = changes.numbers[~changes.removed].tolist()
        items = list(catalogue.registry.by_number(here).values())
        if catalogue is self._own:
            self.recommender.add(
                [item.item_id for item in items],
                np.asarray([item.codes for item in items], np.uint16),
                np.asarray([item.suffix for item in items], np.uint32),
            )
        elif _alike(catalogue, self._own):
            self._add_by_vector(
                catalogue, [item for item in items if not self.recommender.knows(item.item_id)]
            )
        for item in items:
            self.recommender.hide(item.item_id, hidden=False)
        gone = catalogue.registry.item_ids(changes.numbers[changes.removed].tolist())
        for item_id in set(gone.values()) - self._elsewhere(catalogue, list(gone.values())):
            self.recommender.hide(item_id)

    def _elsewhere(self, catalogue: Catalogue, item_ids: Sequence[str]) -> set[str]:
        """Return those of the items that a registry of another tokenizer has."""
        others = (other for other in self._catalogues if other is not catalogue)
        return {item_id for other in others for item_id in other.registry.get(item_ids)}

    def _add_by_vector(self, catalogue: Catalogue, items: Sequence[RegisteredItem]) -> None:
        """Add items that the model's own tokenizer has not coded, by their kept vectors."""
        kept = catalogue.nearest.vectors.vectors([item.number for item in items])
        coded = [item for item in items if item.number in kept]
        vectors = [kept[item.number] for item in coded]
        if not coded:
            return
        faults = self._own.pipeline.faults(np.stack(vectors))
        rows = [row for row in range(len(coded)) if row not in faults]
        if not rows:
            return
        codes = self._own.pipeline.tokenize(np.stack(vectors)[rows], checked=True).codes
        self._add_where_free([coded[row].item_id for row in rows], codes)

    def _add_where_free(self, item_ids: Sequence[str], codes: NDArray[np.uint16]) -> None:
        # These IDs are the model's alone; nobody is told them, so any free suffix will do.
        for first in range(MOST_TRIES):
            left = [row for row, name in enumerate(item_ids) if not self.recommender.knows(name)]
            if not left:
                return
            suffixes = assign_suffixes(codes[left], {}) + np.uint32(first)
            self.recommender.add([item_ids[row] for row in left], codes[left], suffixes)


class Recommenders:
    """The recommenders that a process serves, at most one for each tokenizer."""

    def __init__(
        self, recommenders: Sequence[Recommender], catalogues: Sequence[Catalogue]
    ) -> None:
        """Follow the catalogues with each recommender.

        Raises:
            InputError: a recommender reads the IDs of a tokenizer that has no catalogue here, or
                two read those of one.
        """
        read = [each.tokenizer for each in recommenders]
        for tokenizer in read:
            if read.count(tokenizer) > 1:
                raise InputError(
                    f"two recommenders read IDs of tokenizer {tokenizer or 'none'}; serve one of "
                    f"them"
                )
        self._all = [Recommending(each, catalogues) for each in recommenders]

    def __iter__(self) -> Iterator[Recommending]:
        return iter(self._all)

    def of(self, tokenizer: str) -> Recommending | None:
        """Return the recommender for a tokenizer: its own, or else the first; None without any."""
        own = (each for each in self._all if each.recommender.tokenizer == tokenizer)
        return next(own, self._all[0] if self._all else None)


def _alike(one: Catalogue, other: Catalogue) -> bool:
    """Return whether two tokenizers take the same vectors."""
    ours, theirs = one.pipeline.config, other.pipeline.config
    return ours.encoder == theirs.encoder and ours.dimension == theirs.dimension
