"""A search model that follows the registry: it adds new items and hides removed ones."""

import threading
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from recsys.search.searcher import Found, Searcher
from service.engine.catalogue import Catalogue
from service.registry import RegisteredItem

__all__ = ["Searching"]


class Searching:
    """Answers queries with the items of the model's training and those registered since.

    Attributes:
        searcher: the model.
        catalogue: that of the tokenizer whose codes the model reads.
    """

    def __init__(self, searcher: Searcher, catalogues: Sequence[Catalogue]) -> None:
        """Follow the catalogue of the model's tokenizer.

        Raises:
            InputError: the tokenizer has no catalogue here, or no encoder, or not the one that the
                model's queries were encoded with.
        """
        own = [one for one in catalogues if one.pipeline.fingerprint == searcher.tokenizer]
        if not own:
            searcher.check_tokenizer(catalogues[0].pipeline.fingerprint)
        self.searcher, self.catalogue = searcher, own[0]
        reference = self.catalogue.pipeline.config.encoder
        named = ("none", "") if reference is None else (reference.name, reference.revision)
        if named != searcher.encoder:
            raise InputError(
                f"the search model reads queries of encoder {searcher.encoder[0]!r}, revision "
                f"{searcher.encoder[1]!r}; tokenizer {searcher.tokenizer} has {named[0]!r}, "
                f"{named[1]!r}; train the search model again with the tokenizer's encoder"
            )
        self._newest = 0
        self._following = threading.Lock()
        self.follow()

    def search(
        self,
        query: str | None,
        history: Sequence[str],
        k: int,
        *,
        exclude_seen: bool,
        prefix: Sequence[int],
        candidates: Collection[str] | None,
    ) -> list[tuple[Found, RegisteredItem | None]]:
        """Return up to k items, best first, with their entries in the registry.

        Raises:
            InputError: as `Searcher.search`.
        """
        vector: NDArray[np.float32] | None = None
        if query is not None:
            vector = self.catalogue.pipeline.embed([query])[0]
        found = self.searcher.search(
            vector, history, k, exclude_seen=exclude_seen, prefix=prefix, candidates=candidates
        )
        entries = self.catalogue.registry.get({each.item_id for each in found})
        return [(each, entries.get(each.item_id)) for each in found]

    def follow(self) -> None:
        """Take in the registry's changes since the last call."""
        registry = self.catalogue.registry
        with self._following:
            for changes in registry.changes(self._newest):
                here = changes.numbers[~changes.removed].tolist()
                items = list(registry.by_number(here).values())
                codes = np.asarray([item.codes for item in items], np.uint16)
                self.searcher.add([item.item_id for item in items], codes)
                for item in items:
                    self.searcher.hide(item.item_id, hidden=False)
                gone = registry.item_ids(changes.numbers[changes.removed].tolist())
                for item_id in gone.values():
                    self.searcher.hide(item_id)
                self._newest = changes.newest
