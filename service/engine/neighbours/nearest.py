"""Answers which items are nearest to an item or a vector, for several questions together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.engine.neighbours.ranking import Query, Ranked, Ranking, Search
from service.registry import RegisteredItem
from service.registry.reader import RegistryReader
from tokenizer.pipeline import Pipeline

__all__ = ["Nearest", "Neighbour", "Question"]

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Question:
    """Whose neighbours are asked for, and how many.

    Attributes:
        of: the item_id of an item, or a vector (D,) that can be tokenized.
        k: number of neighbours.
        exact: order by cosine, of the vectors where they are kept; else by distance.
    """

    of: str | Vector
    k: int
    exact: bool = True


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


class Nearest:
    """Finds the nearest items of one tokenizer.

    Attributes:
        ranking: ranks the items.
        vectors, memory: as in `Ranking`.
    """

    def __init__(self, pipeline: Pipeline, registry: RegistryReader, search: Search) -> None:
        self._pipeline = pipeline
        self.ranking = Ranking(pipeline, registry, search)
        self.vectors, self.memory = self.ranking.vectors, self.ranking.memory

    def answer(
        self, questions: Sequence[Question], items: Mapping[str, RegisteredItem]
    ) -> list[list[Neighbour] | None]:
        """Return up to k neighbours for each question; None for an item that is not in `items`.

        An item is not its own neighbour.

        Args:
            items: the items of the questions, by item_id.
        """
        known = {
            row: question
            for row, question in enumerate(questions)
            if not isinstance(question.of, str) or question.of in items
        }
        queries = self._queries(list(known.values()), items)
        ranked, read = self.ranking.rank(queries)
        found = {number for each in ranked for number in each.numbers.tolist()}
        read |= self.ranking.read(found - read.keys())
        answers: list[list[Neighbour] | None] = [None] * len(questions)
        for (row, question), query, each in zip(known.items(), queries, ranked, strict=True):
            near = self._neighbours(query, each, read, question.of)
            answers[row] = near[: question.k]
        return answers

    def query(self, vector: Vector, k: int, *, exact: bool) -> Query:
        """Return the query of a vector (D,).

        Raises:
            InputError: the vector cannot be tokenized.
        """
        return Query(self._pipeline.latents(vector[None, :])[0], vector, k, exact)

    def _queries(
        self, questions: Sequence[Question], items: Mapping[str, RegisteredItem]
    ) -> list[Query]:
        """Return the queries: of vectors, of items' kept vectors, or of what codes decode to."""
        own = [items[each.of] if isinstance(each.of, str) else None for each in questions]
        kept = self._kept(
            [item.number for item, each in zip(own, questions, strict=True) if item and each.exact]
        )
        given: dict[int, Vector] = {}
        coded: dict[int, tuple[int, ...]] = {}
        for row, (question, item) in enumerate(zip(questions, own, strict=True)):
            if not isinstance(question.of, str):
                given[row] = question.of
            elif item is not None:
                if question.exact and item.number in kept:
                    given[row] = kept[item.number]
                else:
                    coded[row] = item.codes
        latents, vectors = dict[int, Vector](), dict(given)
        if given:
            stacked = np.stack(list(given.values()))
            latents |= zip(given, self._pipeline.latents(stacked), strict=True)
        if coded:
            codes = np.asarray(list(coded.values()), np.uint16)
            latents |= zip(coded, self._pipeline.latents_of_codes(codes), strict=True)
            vectors |= zip(coded, self._pipeline.vectors_of_codes(codes), strict=True)
        return [
            # An item is found too, and is left out of its own neighbours.
            Query(latents[row], vectors[row], each.k + isinstance(each.of, str), each.exact)
            for row, each in enumerate(questions)
        ]

    def _kept(self, numbers: Sequence[int]) -> dict[int, Vector]:
        """Return the kept vectors of those of the items that have one, by number."""
        if self.memory.whole:  # then it tells which have one
            numbers = [number for number in numbers if self.memory.has(np.asarray([number]))[0]]
        return self.vectors.vectors(numbers) if numbers else {}

    def _neighbours(
        self,
        query: Query,
        ranked: Ranked,
        items: Mapping[int, RegisteredItem],
        leave_out: str | Vector,
    ) -> list[Neighbour]:
        """Return the ranked items that exist, without the one of an item_id."""
        rows = [
            row
            for row, number in enumerate(ranked.numbers.tolist())
            if number in items
            and not (isinstance(leave_out, str) and items[number].item_id == leave_out)
        ]
        there = [items[number] for number in ranked.numbers[rows].tolist()]
        away = ranked.distances[rows]
        if np.isnan(away).any():
            codes = np.asarray([item.codes for item in there], np.uint16)
            own = np.square(self._pipeline.latents_of_codes(codes) - query.latent).sum(axis=1)
            away = np.where(np.isnan(away), own, away)
        figures = zip(
            there, away.tolist(), ranked.cosines[rows].tolist(), ranked.exact[rows].tolist(),
            strict=True,
        )  # fmt: skip
        return [Neighbour(*each) for each in figures]
