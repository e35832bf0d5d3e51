"""A recommender that follows the registry: it adds new items and hides removed ones."""

import threading
from collections.abc import Sequence

import numpy as np

from recsys.recommender import Recommendation, Recommender
from service.engine.catalogue import Catalogue
from service.registry import RegisteredItem

__all__ = ["Recommended", "Recommending"]

Recommended = tuple[Recommendation, RegisteredItem | None]


class Recommending:
    """Recommends the next items after a history, from the model's and the registry's items."""

    def __init__(self, recommender: Recommender, catalogues: Sequence[Catalogue]) -> None:
        """Follow the catalogue of the recommender's tokenizer; a model without one takes the first.

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
        self.recommender, self.registry = recommender, own[0].registry
        self._newest = 0
        self._following = threading.Lock()
        self.follow()

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int, *, exclude_seen: bool
    ) -> list[list[Recommended]]:
        """Return up to k items for each history, best first, with their entries in the registry.

        Raises:
            InputError: as `Recommender.recommend`.
        """
        found = self.recommender.recommend(histories, k, exclude_seen=exclude_seen)
        entries = self.registry.get({each.item_id for row in found for each in row})
        return [[(each, entries.get(each.item_id)) for each in row] for row in found]

    def follow(self) -> None:
        """Take in the registry's changes since the last call."""
        with self._following:
            for changes in self.registry.changes(self._newest):
                here = changes.numbers[~changes.removed].tolist()
                items = list(self.registry.by_number(here).values())
                self.recommender.add(
                    [item.item_id for item in items],
                    np.asarray([item.codes for item in items], np.uint16),
                    np.asarray([item.suffix for item in items], np.uint32),
                )
                for item in items:
                    self.recommender.hide(item.item_id, hidden=False)
                gone = self.registry.item_ids(changes.numbers[changes.removed].tolist())
                for item_id in gone.values():
                    self.recommender.hide(item_id)
                self._newest = changes.newest
