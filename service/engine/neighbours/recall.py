"""How many of the exactly nearest items are found, measured while the service runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

import numpy as np
from numpy.typing import NDArray

from service.engine.neighbours.nearest import Nearest
from tokenizer.index.exact_neighbours import cosines, overlap

__all__ = ["Recall", "RecallMeter"]

QUERIES, K = 20, 10
GROWTH = 1.1  # of the items, until they are measured again
PAUSE = 0.01  # seconds between parts of the scan, so that requests go before it
Best = list[tuple[float, int]]  # cosines and numbers


@dataclass(frozen=True)
class Recall:
    """The share of the 10 exactly nearest items that are found, over some registered items.

    Attributes:
        codes: by codes alone.
        vectors: by vectors.
    """

    codes: float
    vectors: float


class RecallMeter:
    """Measures how many neighbours are found, anew when the items have grown or shrunk.

    Attributes:
        last: the last measurement; None before the first, or if too few items have vectors.
    """

    def __init__(self, nearest: Nearest, indexed: Callable[[], int]) -> None:
        self._nearest, self._indexed = nearest, indexed
        self._measured = 0  # items in the index when the recall was measured
        self.last: Recall | None = None

    def due(self) -> bool:
        """Return whether the number of items has changed much since the last measurement."""
        items, before = self._indexed(), self._measured
        return items > K and not before / GROWTH <= items <= before * GROWTH

    def share(self, way: str) -> float:
        """Return the last recall by `codes` or `vectors`; NaN if there is none."""
        return float("nan") if self.last is None else float(getattr(self.last, way))

    def measure(self, stop: Event | None = None) -> Recall | None:
        """Measure over some items, against a scan of all vectors.

        Args:
            stop: ends the scan when it is set; nothing is measured then.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        items = self._indexed()
        sample = self._nearest.vectors.sample(QUERIES)
        exact = self._exact(sample, stop or Event()) if len(sample) > 1 else {}
        self.last = None
        if exact:
            shares = [self._shares(sample[number], number, near) for number, near in exact.items()]
            self.last = Recall(*np.mean(shares, axis=0).tolist())
        self._measured = items
        return self.last

    def _exact(self, sample: dict[int, NDArray[np.float32]], stop: Event) -> dict[int, list[int]]:
        """Return the numbers of the exactly nearest items of each item of the sample."""
        best: dict[int, Best] = {number: [] for number in sample}
        for numbers, directions in self._nearest.vectors.scan():
            for number, vector in sample.items():
                towards = cosines(vector, directions)
                top = np.argsort(-towards)[: K + 1]
                found = zip(towards[top].tolist(), numbers[top].tolist(), strict=True)
                best[number] = sorted([*best[number], *found], reverse=True)[: K + 1]
            if stop.wait(PAUSE):
                return {}
        return {
            number: near
            for number, found in best.items()
            if (near := [other for _, other in found if other != number][:K])
        }

    def _shares(
        self, vector: NDArray[np.float32], number: int, near: Sequence[int]
    ) -> tuple[float, float]:
        """Return which shares of an item's exact neighbours codes and vectors find."""
        queries = [self._nearest.query(vector, K + 1, exact=exact) for exact in (False, True)]
        by_codes, by_vectors = (
            overlap([other for other in each.numbers.tolist() if other != number][:K], near)
            for each in self._nearest.ranking.rank(queries)[0]
        )
        return by_codes, by_vectors
