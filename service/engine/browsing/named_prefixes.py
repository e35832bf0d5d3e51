"""The prefixes of a registry's items, with words, central items and coherence; kept for a while."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.registry import PrefixCount
from service.registry.prefix_samples import (
    PrefixSizes,
    SampledItem,
    drawn_items,
    sampled_items,
    sizes_below,
)
from service.registry.reader import RegistryReader
from service.registry.vectors import VectorStore
from tokenizer.pipeline import Pipeline
from tokenizer.prefixes.coherence import central, coherence
from tokenizer.prefixes.words import shares, top_words, words_of

__all__ = ["NamedPrefixes", "PrefixName", "PrefixNames"]

SAMPLE, WHOLE = 24, 2000  # items of each prefix, and of the whole catalogue, that are looked at
OLDEST, GROWTH, MOST = 600.0, 1.1, 2000  # seconds, items and prefixes that names are kept for


@dataclass(frozen=True)
class PrefixName:
    """What the items of a prefix have in common, by a sample of them.

    Attributes:
        words: of their titles, best first.
        central: item_id and title of the item nearest to the mean of the sample.
        coherence: mean cosine of pairs of them; None for fewer than two items with vectors.
    """

    words: tuple[str, ...]
    central: tuple[str, str | None]
    coherence: float | None


@dataclass(frozen=True)
class PrefixNames:
    """The names of the prefixes below a prefix, by their last code, and the sizes at each depth."""

    names: dict[int, PrefixName]
    depths: list[PrefixSizes]
    chance: float | None


@dataclass(frozen=True)
class _Kept:
    names: PrefixNames
    items: int
    at: float


class NamedPrefixes:
    """Names the prefixes of one tokenizer's items when they are asked for, and keeps the names."""

    def __init__(self, pipeline: Pipeline, registry: RegistryReader, vectors: VectorStore) -> None:
        self._pipeline, self._registry, self._vectors = pipeline, registry, vectors
        self._kept: OrderedDict[tuple[int, ...], _Kept] = OrderedDict()
        self._whole: tuple[float, int, dict[str, float], float | None] | None = None
        self._lock = threading.Lock()

    def below(self, prefix: tuple[int, ...], counts: Sequence[PrefixCount]) -> PrefixNames:
        """Return the names of the prefixes that extend `prefix` by one code.

        Args:
            counts: these prefixes, as `RegistryReader.next_codes` returns them.
        """
        items, now = sum(count.items for count in counts), time.monotonic()
        with self._lock:
            kept = self._kept.get(prefix)
            if kept is not None and _fresh(kept.at, kept.items, items, now):
                return kept.names
        background, chance = self._background(items if not prefix else None, now)
        sample = sampled_items(self._registry, prefix, SAMPLE, items)
        names = self._named(prefix, sample, counts, background)
        found = PrefixNames(names, sizes_below(self._registry, prefix, items), chance)
        with self._lock:
            self._kept[prefix] = _Kept(found, items, now)
            self._kept.move_to_end(prefix)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return found

    def _named(
        self,
        prefix: tuple[int, ...],
        sample: Sequence[SampledItem],
        counts: Sequence[PrefixCount],
        background: dict[str, float],
    ) -> dict[int, PrefixName]:
        groups: dict[int, list[SampledItem]] = {}
        for item in sample:
            groups.setdefault(item.codes[len(prefix)], []).append(item)
        sizes = {count.codes[-1]: count.items for count in counts}
        directions = self._directions(sample)
        titles = [[words_of(item.title) for item in group] for group in groups.values()]
        # An item that was registered after the counts were read has a prefix without a count.
        words = top_words(titles, [sizes.get(code, 1) for code in groups], background)
        return {
            code: self._name(group, named, directions)
            for (code, group), named in zip(groups.items(), words, strict=True)
        }

    def _name(
        self,
        group: Sequence[SampledItem],
        words: tuple[str, ...],
        directions: dict[int, NDArray[np.float32]],
    ) -> PrefixName:
        known = [item for item in group if item.number in directions]
        if known:
            own = np.stack([directions[item.number] for item in known])
            middle = known[central(own)]
            return PrefixName(words, (middle.item_id, middle.title), coherence(own))
        latents = self._pipeline.latents_of_codes(
            np.asarray([item.codes for item in group], np.uint16)
        )
        middle = group[central(latents)]
        return PrefixName(words, (middle.item_id, middle.title), None)

    def _background(self, items: int | None, now: float) -> tuple[dict[str, float], float | None]:
        """Return the shares of words in the whole catalogue, and the coherence by chance."""
        with self._lock:
            kept = self._whole
        if kept is not None and _fresh(kept[0], kept[1], items or kept[1], now):
            return kept[2], kept[3]
        items = self._registry.count() if items is None else items
        sample = drawn_items(self._registry, WHOLE, items)
        directions = self._directions(sample)
        chance = coherence(np.stack(list(directions.values()))) if directions else None
        found = shares([words_of(item.title) for item in sample])
        with self._lock:
            self._whole = (now, items, found, chance)
        return found, chance

    def _directions(self, sample: Sequence[SampledItem]) -> dict[int, NDArray[np.float32]]:
        numbers, found = self._vectors.directions([item.number for item in sample])
        return dict(zip(numbers.tolist(), found, strict=True))


def _fresh(at: float, before: int, items: int, now: float) -> bool:
    return now - at < OLDEST and before / GROWTH <= items <= before * GROWTH
