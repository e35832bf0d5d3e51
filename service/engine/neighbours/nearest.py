"""Nearest items: the codes propose candidates, and the kept vectors rank them exactly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.registry import RegisteredItem
from service.registry.reader import RegistryReader
from service.registry.vectors import VectorStore
from tokenizer.index.exact_neighbours import candidates, cosines
from tokenizer.pipeline import Pipeline

__all__ = ["Nearest", "Neighbour", "Query", "Search"]

Vector = NDArray[np.float32]
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
    """Items by number (n,), nearest first, with their distances, cosines and `exact`, each (n,)."""

    numbers: NDArray[np.int64]
    distances: Vector
    cosines: Vector
    exact: NDArray[np.bool_]


class Nearest:
    """Finds the nearest items of one tokenizer."""

    def __init__(self, pipeline: Pipeline, registry: RegistryReader, search: Search) -> None:
        self._pipeline, self._registry, self._search = pipeline, registry, search
        self.vectors = VectorStore(registry)

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
        found = self._registry.by_number(ranked.numbers.tolist())
        rows = zip(
            ranked.numbers.tolist(), ranked.distances.tolist(), ranked.cosines.tolist(),
            ranked.exact.tolist(), strict=True,
        )  # fmt: skip
        neighbours = [
            Neighbour(found[number], distance, cosine, own)
            for number, distance, cosine, own in rows
            if number in found and found[number].item_id != leave_out
        ]
        return neighbours[:k]

    def ranked(self, query: Query, k: int, *, exact: bool) -> Ranked:
        """Return the k nearest items, or fewer."""
        keys, distances = self._search(query.latent[None, :], k)
        exact = exact and self._any_kept(keys[0])  # without vectors codes tell all that is known
        if exact:
            keys, distances = self._search(query.latent[None, :], candidates(k))
        there = keys[0] >= 0
        numbers, away = keys[0][there], distances[0][there]
        near = np.empty(len(numbers), np.float32)
        own = np.zeros(len(numbers), np.bool_)
        if exact and len(numbers):
            kept, directions = self.vectors.directions(numbers.tolist())
            if len(kept):
                place = {number: row for row, number in enumerate(numbers.tolist())}
                rows = [place[number] for number in kept.tolist()]
                near[rows], own[rows] = cosines(query.vector, directions), True
        decoded = self._decoded(numbers[~own].tolist(), query)
        gone = np.zeros(len(numbers), np.bool_)
        for row in np.flatnonzero(~own).tolist():
            number = int(numbers[row])
            gone[row] = number not in decoded
            near[row] = decoded.get(number, -1.0)
        order = np.lexsort((numbers, -near)) if exact else np.arange(len(numbers))
        order = order[~gone[order]][:k]
        return Ranked(numbers[order], away[order], near[order], own[order])

    def _any_kept(self, nearest: NDArray[np.int64]) -> bool:
        """Return whether one of the items has a kept vector."""
        return len(self.vectors.directions(nearest[nearest >= 0].tolist())[0]) > 0

    def _decoded(self, numbers: Sequence[int], query: Query) -> dict[int, float]:
        """Return the cosines of the vectors that items' codes decode to, by number."""
        items = list(self._registry.by_number(numbers).values()) if numbers else []
        if not items:
            return {}
        codes = np.asarray([item.codes for item in items], np.uint16)
        near = cosines(query.vector, self._pipeline.vectors_of_codes(codes))
        return {item.number: cosine for item, cosine in zip(items, near.tolist(), strict=True)}
