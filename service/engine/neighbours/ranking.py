"""Ranks items for queries: by the kept vectors, or by what their codes decode to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.engine.neighbours.vectors_in_memory import VectorsInMemory
from service.registry import RegisteredItem
from service.registry.reader import RegistryReader
from service.registry.vectors import VectorStore
from tokenizer.index.exact_neighbours import candidates, cosines
from tokenizer.pipeline import Pipeline

__all__ = ["Query", "Ranked", "Ranking", "Search"]

Vector = NDArray[np.float32]
Numbers = NDArray[np.int64]
Proposed = tuple[Numbers, Vector]  # numbers and squared distances, nearest first
Decoded = tuple[dict[int, int], Vector]  # rows by item number, and decoded vectors (n, D)
SLACK = 16  # items more than are asked for: some may have been removed a moment ago
# Takes latents (n, d) and a number; returns the numbers and squared distances of the nearest items.
Search = Callable[[Vector, int], tuple[NDArray[np.int64], Vector]]


@dataclass(frozen=True)
class Query:
    """What items are ranked for.

    Attributes:
        latent: (d,), compared with the items' decoded latents.
        vector: (D,), compared with the items' vectors.
        k: number of items.
        exact: order by cosine, of the vectors where they are kept; else by distance.
    """

    latent: Vector
    vector: Vector
    k: int
    exact: bool


@dataclass(frozen=True)
class Ranked:
    """Items by number (n,), nearest first, with their distances, cosines and `exact`, each (n,).

    A distance that was not computed is NaN.
    """

    numbers: Numbers
    distances: Vector
    cosines: Vector
    exact: NDArray[np.bool_]


class Ranking:
    """Ranks the items of one tokenizer, for several queries together.

    Attributes:
        vectors: the kept vectors in the database.
        memory: the same in memory, while they are few.
    """

    def __init__(self, pipeline: Pipeline, registry: RegistryReader, search: Search) -> None:
        self._pipeline, self._registry, self._search = pipeline, registry, search
        self.vectors = VectorStore(registry)
        self.memory = VectorsInMemory(self.vectors, pipeline.config.dimension)

    def rank(self, queries: Sequence[Query]) -> tuple[list[Ranked], dict[int, RegisteredItem]]:
        """Return the k nearest items of each query, or fewer; and the items read, by number.

        Only those items are read that are ranked by their codes.
        """
        most = max((query.k for query in queries), default=1)
        proposed = [
            (numbers[: query.k], away[: query.k])
            for query, (numbers, away) in zip(queries, self._proposed(queries, most), strict=True)
        ]
        kept = self._kept(
            [numbers for query, (numbers, _) in zip(queries, proposed, strict=True) if query.exact]
        )
        # Without vectors codes tell all that is known.
        coded = {
            row: own
            for row, own in enumerate(proposed)
            if not (queries[row].exact and kept.intersection(own[0].tolist()))
        }
        read = self.read(number for numbers, _ in coded.values() for number in numbers.tolist())
        decoded = self._decoded(read)
        ranked = [
            _by_codes(query, *coded[row], decoded)
            if row in coded
            else self._by_vectors(query, read)
            for row, query in enumerate(queries)
        ]
        return ranked, read

    def read(self, numbers: Iterable[int]) -> dict[int, RegisteredItem]:
        """Return those of the items that exist, by number."""
        some = list(set(numbers))
        return self._registry.by_number(some) if some else {}

    def _by_vectors(self, query: Query, read: dict[int, RegisteredItem]) -> Ranked:
        """Rank by vectors, and by codes what has none; `read` takes the items read for that."""
        [(numbers, away)] = self._proposed([query], candidates(query.k))
        near, own = np.zeros(len(numbers), np.float32), np.zeros(len(numbers), np.bool_)
        if self.memory.whole:
            found, high = self.memory.search(query.vector, query.k + SLACK)
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
        more = self.read(numbers[~own].tolist())
        read |= more
        by_codes = _by_codes(query, numbers[~own], away[~own], self._decoded(more))
        there = own | np.isin(numbers, by_codes.numbers)
        near[~own & there] = by_codes.cosines
        order = np.lexsort((numbers, -near))
        order = order[there[order]][: query.k]
        return Ranked(numbers[order], away[order], near[order], own[order])

    def _proposed(self, queries: Sequence[Query], most: int) -> list[Proposed]:
        """Return the numbers and squared distances of the `most` items nearest by their codes."""
        if not queries:
            return []
        keys, away = self._search(np.stack([query.latent for query in queries]), most)
        return [(own[own >= 0], near[own >= 0]) for own, near in zip(keys, away, strict=True)]

    def _decoded(self, items: Mapping[int, RegisteredItem]) -> Decoded:
        """Return the vectors that items' codes decode to, and each item's row, by number."""
        codes = np.asarray([item.codes for item in items.values()], np.uint16)
        vectors = self._pipeline.vectors_of_codes(codes) if items else np.empty((0, 0), np.float32)
        return {number: row for row, number in enumerate(items)}, vectors

    def _kept(self, proposed: Sequence[Numbers]) -> set[int]:
        """Return those of the items that have a kept vector."""
        numbers = np.unique(np.concatenate([np.empty(0, np.int64), *proposed]))
        if self.memory.whole:
            return set(numbers[self.memory.has(numbers)].tolist())
        return set(self.vectors.directions(numbers.tolist())[0].tolist())


def _by_codes(query: Query, numbers: Numbers, away: Vector, decoded: Decoded) -> Ranked:
    """Return those of the items that exist in their order, with cosines of decoded vectors."""
    rows, vectors = decoded
    there = np.asarray([number in rows for number in numbers.tolist()], np.bool_)
    own = [rows[number] for number in numbers[there].tolist()]
    near = cosines(query.vector, vectors[own]) if own else np.empty(0, np.float32)
    return Ranked(numbers[there], away[there], near, np.zeros(len(own), np.bool_))
