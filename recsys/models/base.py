"""What training and evaluation ask of a model of the next item."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recsys.data.dataset import NO_ITEM, HeldOutPart, SequenceDataset, Users
from recsys.evaluation.full_ranking import RankingQuality, evaluate
from recsys.evaluation.metrics import CUTOFFS
from recsys.models.repeats import Repeats, RepeatScore

__all__ = [
    "Codes",
    "NextItemModel",
    "ScoringModel",
    "Suffixes",
    "check_histories",
    "last_of_each",
]

Codes = NDArray[np.uint16]
Suffixes = NDArray[np.uint32]


class NextItemModel(nn.Module, ABC):
    """Reads a user's last items and tells the next one.

    Attributes:
        history: the last items that the model reads.
    """

    history: int

    @abstractmethod
    def examples(self, dataset: SequenceDataset) -> Tensor:
        """Return what the model trains on: (examples, columns) int64, padded with -1 behind.

        Raises:
            InputError: there is nothing to train on.
        """

    @abstractmethod
    def predictions(self, examples: Tensor) -> Tensor:
        """Return how many predictions of each example the loss is the mean of, (examples,)."""

    @abstractmethod
    def loss(self, examples: Tensor) -> Tensor:
        """Return the mean loss over all predictions.

        Args:
            examples: rows of `examples`, without columns in which all have padding.
        """

    @abstractmethod
    def evaluate(
        self,
        dataset: SequenceDataset,
        split: HeldOutPart,
        users: Users | None = None,
        coverage: Sequence[int] = CUTOFFS,
        *,
        quick: bool = False,
    ) -> RankingQuality:
        """Rank the items of `split`.

        Args:
            users: their numbers; all where None.
            coverage: its cutoffs; empty saves time.
            quick: as precise as choosing between states of one model needs.
        """

    @abstractmethod
    def accepts(self, codes: Codes, suffixes: Suffixes) -> NDArray[np.bool_]:
        """Tell which items that came after training the model can know, (n,) bool.

        Args:
            codes: (n, L) integers.
            suffixes: (n,) integers.
        """

    @abstractmethod
    def extend(self, codes: Codes, suffixes: Suffixes) -> None:
        """Take in items that came after training, numbered on.

        Raises:
            InputError: an item that it does not accept, or whose ID it has.
        """

    def forward(self, examples: Tensor) -> Tensor:
        """Return the loss."""
        return self.loss(examples)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device


class ScoringModel(NextItemModel):
    """Scores every item of the catalogue as the next one, and learns from all positions at once.

    Histories and windows hold item numbers, oldest first, padded with -1 behind.

    Attributes:
        repeats: what is added to the scores of the items of the history; nothing where None.
    """

    repeats: RepeatScore | None

    @abstractmethod
    def user_vectors(self, histories: Tensor) -> Tensor:
        """Return (B, d), whose products with the items' vectors are the scores without repeats.

        Args:
            histories: (B, T) int64; T at most `history`.

        Raises:
            ValueError: a history is empty or longer than the model reads.
        """

    @abstractmethod
    def item_vectors(self) -> Tensor:
        """Return (n_items, d)."""

    def scores(self, histories: Tensor) -> Tensor:
        """Return (B, n_items) scores, higher is better.

        Raises:
            ValueError: as `user_vectors`.
        """
        return self.scored(self.user_vectors(histories), histories, self.item_vectors())

    def repeated(self, before: Tensor) -> Repeats | None:
        """Return what is added to the scores of items (B, T) int64 that were there before."""
        return None if self.repeats is None else self.repeats(before)

    def scored(self, users: Tensor, histories: Tensor, items: Tensor) -> Tensor:
        """Return (B, n_items), the scores of vectors of users (B, d) and items (n_items, d)."""
        scores, repeats = users @ items.T, self.repeated(histories)
        return scores if repeats is None else repeats.added(scores)

    def examples(self, dataset: SequenceDataset) -> Tensor:
        return torch.from_numpy(dataset.training_windows(self.history))

    def predictions(self, examples: Tensor) -> Tensor:
        return (examples[:, 1:] != NO_ITEM).sum(1)

    def evaluate(
        self,
        dataset: SequenceDataset,
        split: HeldOutPart,
        users: Users | None = None,
        coverage: Sequence[int] = CUTOFFS,
        *,
        quick: bool = False,
    ) -> RankingQuality:
        del quick  # the scores of all items are exact, and cheap
        with torch.no_grad():
            items = self.item_vectors()
        return evaluate(
            lambda histories: self.scored(self.user_vectors(histories), histories, items),
            dataset,
            split,
            self.history,
            coverage=coverage,
            device=self.device,
            users=users,
        )


def check_histories(histories: Tensor, longest: int, *, empty: bool = False) -> Tensor:
    """Return where histories (B, T) have items, (B, T) bool.

    Args:
        empty: whether one may be.

    Raises:
        ValueError: one is empty, or longer than `longest`.
    """
    present = histories != NO_ITEM
    if not (empty or present.any(1).all()) or histories.shape[1] > longest:
        raise ValueError(f"histories of {0 if empty else 1} to {longest} items are needed")
    return present


def last_of_each(states: Tensor, present: Tensor) -> Tensor:
    """Return (B, d), the last of the states (P, d) of each sequence; present is (B, T)."""
    return states[present.sum(1).cumsum(0) - 1]
