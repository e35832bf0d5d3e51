"""The interface of models that write the IDs of items, which a search turns into ranked items."""

from abc import abstractmethod

from torch import Tensor

from recsys.generation.decoding import FoundItems
from recsys.models.base import NextItemModel

__all__ = ["GenerativeModel"]


class GenerativeModel(NextItemModel):
    """Finds the items that a model most probably writes after a history."""

    @abstractmethod
    def recommend(
        self,
        histories: Tensor,
        top: int = 10,
        excluded: Tensor | None = None,
        candidates: Tensor | None = None,
        beams: int | None = None,
    ) -> FoundItems:
        """Return each user's most probable items.

        Args:
            histories: (B, T) int64 item numbers, oldest first, padded with -1 at the end; T is at
                most `history`.
            excluded: (B, n) int64, items to leave out, padded with -1.
            candidates: (n,) int64, distinct items, the only ones that may be found; all where None.
                Scores stay what they are among all items.
            beams: at least `top`; as configured where None.

        Raises:
            ValueError: a history is empty or longer than the model reads.
        """
