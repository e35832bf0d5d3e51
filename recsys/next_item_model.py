"""What training and evaluation ask of a model of the next item."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from recsys.dataset import PADDING

__all__ = ["NextItemModel", "check_histories", "last_of_each"]


class NextItemModel(nn.Module, ABC):
    """Reads a user's last items and scores every item of the catalogue as the next one.

    Histories and windows hold item numbers, oldest first, padded with -1 behind.

    Attributes:
        history: the last items that the model reads.
    """

    history: int

    @abstractmethod
    def loss(self, windows: Tensor) -> Tensor:
        """Return the mean loss over all positions that have a next item.

        Args:
            windows: (B, T + 1) int64; T at most `history`.
        """

    @abstractmethod
    def scores(self, histories: Tensor) -> Tensor:
        """Return (B, n_items) scores, higher is better.

        Args:
            histories: (B, T) int64; T at most `history`.

        Raises:
            ValueError: a history is empty or longer than the model reads.
        """


def check_histories(histories: Tensor, longest: int) -> Tensor:
    """Return where histories (B, T) have items, (B, T) bool.

    Raises:
        ValueError: one is empty, or longer than `longest`.
    """
    present = histories != PADDING
    if not present.any(1).all() or histories.shape[1] > longest:
        raise ValueError(f"histories of 1 to {longest} items are needed")
    return present


def last_of_each(states: Tensor, present: Tensor) -> Tensor:
    """Return (B, d), the last of the states (P, d) of each sequence; present is (B, T)."""
    return states[present.sum(1).cumsum(0) - 1]
