"""Nearest items by the kept vectors: all of them in memory, or those that the codes propose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from service.engine.neighbours.vectors_in_memory import VectorsInMemory
from service.registry import RegisteredItem
from service.registry.reader import RegistryReader
from service.registry.vectors import VectorStore
from tokenizer.index.exact_neighbours import candidates, cosines
from tokenizer.pipeline import Pipeline

__all__ = ["Nearest", "Neighbour", "Query", "Search"]

Vector = NDArray[np.float32]
SLACK = 16  # items more than are asked for: some may have been removed a moment ago
# Takes latents (1, d) and a number; returns the numbers and squared distances of the nearest items.
Search = Callable[[Vector, int], tuple[NDArray[np.int64], Vector]]


@dataclass(frozen=True)
class Query:
    """What neighbours are sought of.

    Attributes:
        latent: (d,), compared with the items' decoded latents.
        vector: (D,), compared with the items' vectors.
    """

    latent: Vector
    vector: Vector


@dataclass(frozen=True)
class Neighbour:
    """An item that is near to a query.

    Attributes:
        distance: squared distance from the query's latent to the item's decoded latent.
        cosine: between the query's vector and the item's.
        exact: whether the item's own vector gave the cosine; else its codes' decoded vector did.
    """

    item: RegisteredItem
    distance: float
    cosine: float
    exact: bool


@dataclass(frozen=True)
class Ranked:
    """Items by number (n,), nearest first, with their distances, cosines and `exact`, each (n,).

    A distance that was not computed is NaN.

    Attributes:
        items: those of the items that were read for their codes, by number.
    """

    numbers: NDArray[np.int64]
    distances: Vector
    cosines: Vector
    exact: NDArray[np.bool_]
    items: Mapping[int, RegisteredItem]


class Nearest:
    """Finds the nearest items of one tokenizer.

    Attributes:
        vectors: the kept vectors in the database.
        memory: the same in memory, while they are few.
    """

    def __init__(self, pipeline: Pipeline, registry: RegistryReader, search: Search) -> None:
        self._pipeline, self._registry, self._search = pipeline, registry, search
        self.vectors = VectorStore(registry)
        self.memory = VectorsInMemory(self.vectors, pipeline.config.dimension)

    def of_item(self, item: RegisteredItem, *, exact: bool) -> Query:
        """Return the query of an item: its kept vector, or what its codes decode to."""
        codes = np.asarray([item.codes], dtype=np.uint16)
        kept = self.vectors.vectors([item.number]).get(item.number) if exact else None
        if kept is not None:
            return self.of_vector(kept)
        return Query(
            self._pipeline.latents_of_codes(codes)[0], self._pipeline.vectors_of_codes(codes)[0]
        )

    def of_vector(self, vector: Vector) -> Query:
        """Return the query of a vector (D,).

        Raises:
            InputError: the vector cannot be tokenized.
        """
        return Query(self._pipeline.latents(vector[None, :])[0], vector)

    def find(self, query: Query, k: int, leave_out: str | None, *, exact: bool) -> list[Neighbour]:
        """Return up to k items nearest to a query.

        Args:
            leave_out: an item_id that is left out of the result.
            exact: order by cosine, of the vectors where they are kept; else by distance.
        """
        ranked = self.ranked(query, k + (leave_out is not None), exact=exact)
        unread = [number for number in ranked.numbers.tolist() if number not in ranked.items]
        found = {**ranked.items, **(self._registry.by_number(unread) if unread else {})}
        rows = zip(
            ranked.numbers.tolist(), ranked.distances.tolist(), ranked.cosines.tolist(),
            ranked.exact.tolist(), strict=True,
        )  # fmt: skip
        neighbours = [
            Neighbour(
                found[number],
                self._distance(found[number], query) if isnan(away) else away,
                cosine,
                own,
            )
            for number, away, cosine, own in rows
            if number in found and found[number].item_id != leave_out
        ]
        return neighbours[:k]

    def _distance(self, item: RegisteredItem, query: Query) -> float:
        codes = np.asarray([item.codes], np.uint16)
        return float(np.square(self._pipeline.latents_of_codes(codes)[0] - query.latent).sum())

    def ranked(self, query: Query, k: int, *, exact: bool) -> Ranked:
        """Return the k nearest items, or fewer."""
        numbers, away = self._proposed(query, k)
        if not (exact and self._any_kept(numbers)):  # without vectors codes tell all that is known
            items = self._read(numbers)
            near, there = self._cosines(numbers, items, query)
            own = np.zeros(int(there.sum()), np.bool_)
            return Ranked(numbers[there], away[there], near[there], own, items)
        numbers, away = self._proposed(query, candidates(k))
        near, own = np.zeros(len(numbers), np.float32), np.zeros(len(numbers), np.bool_)
        if self.memory.whole:
            found, high = self.memory.search(query.vector, k + SLACK)
            others = ~self.memory.has(numbers)  # items without a vector, compared by their codes
            numbers = np.concatenate([found, numbers[others]])
            near = np.concatenate([high, near[others]])
            own = np.concatenate([np.ones(len(found), np.bool_), own[others]])
            away = np.concatenate([np.full(len(found), np.nan, np.float32), away[others]])
        elif len(numbers):
            kept, directions = self.vectors.directions(numbers.tolist())
            if len(kept):
                place = {number: row for row, number in enumerate(numbers.tolist())}
                rows = [place[number] for number in kept.tolist()]
                near[rows], own[rows] = cosines(query.vector, directions), True
        items, there = self._read(numbers[~own]), np.ones(len(numbers), np.bool_)
        near[~own], there[~own] = self._cosines(numbers[~own], items, query)
        order = np.lexsort((numbers, -near))
        order = order[there[order]][:k]
        return Ranked(numbers[order], away[order], near[order], own[order], items)

    def _proposed(self, query: Query, k: int) -> tuple[NDArray[np.int64], Vector]:
        """Return the numbers and squared distances of the k items nearest by their codes."""
        keys, distances = self._search(query.latent[None, :], k)
        there = keys[0] >= 0
        return keys[0][there], distances[0][there]

    def _read(self, numbers: NDArray[np.int64]) -> dict[int, RegisteredItem]:
        """Return those of the items that exist, by number."""
        return self._registry.by_number(numbers.tolist()) if len(numbers) else {}

    def _cosines(
        self,
        numbers: NDArray[np.int64],
        items: Mapping[int, RegisteredItem],
        query: Query,
    ) -> tuple[Vector, NDArray[np.bool_]]:
        """Return the cosines (n,), by the vectors that codes decode to, and which items exist."""
        there = np.asarray([number in items for number in numbers.tolist()], np.bool_)
        near = np.full(len(numbers), -1, np.float32)
        if there.any():
            rows = [items[number].codes for number in numbers[there].tolist()]
            decoded = self._pipeline.vectors_of_codes(np.asarray(rows, np.uint16))
            near[there] = cosines(query.vector, decoded)
        return near, there

    def _any_kept(self, numbers: NDArray[np.int64]) -> bool:
        """Return whether one of the items has a kept vector."""
        if self.memory.whole:
            return bool(self.memory.has(numbers).any())
        return len(self.vectors.directions(numbers.tolist())[0]) > 0
