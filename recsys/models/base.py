"""The interface that training and evaluation need of a model that predicts the next item."""

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

USERS_ON_CPU, USERS_ON_GPU = 256, 2048  # scored at once
Codes = NDArray[np.uint16]
Suffixes = NDArray[np.uint32]


class NextItemModel(nn.Module, ABC):
    """Reads a user's last items and predicts the next one.

    Attributes:
        history: how many of the last items the model reads.
    """

    history: int

    @abstractmethod
    def examples(self, dataset: SequenceDataset) -> Tensor:
        """Return the training examples: (examples, columns) int64, padded with -1 at the end.

        Raises:
            InputError: there are no examples.
        """

    @abstractmethod
    def predictions(self, examples: Tensor) -> Tensor:
        """Return how many predictions of each example enter the loss, (examples,)."""

    @abstractmethod
    def loss(self, examples: Tensor) -> Tensor:
        """Return the mean loss over all predictions.

        Args:
            examples: rows that `examples` returned; columns of padding alone may be cut.
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
        """Rank every user's item of `split`.

        Args:
            users: numbers of users; all where None.
            coverage: cutoffs; none saves time.
            quick: allow the lower precision that is enough to compare states of one model.
        """

    @property
    def calibrates(self) -> bool:
        """Whether something is fitted on the validation users after the training."""
        return False

    def calibrate(self, dataset: SequenceDataset) -> None:
        """Fit on the validation users what training steps do not learn, if the model has such."""

    @abstractmethod
    def accepts(self, codes: Codes, suffixes: Suffixes) -> NDArray[np.bool_]:
        """Return which new items the model can represent, (n,) bool.

        Args:
            codes: (n, L) integers.
            suffixes: (n,) integers.
        """

    @abstractmethod
    def extend(self, codes: Codes, suffixes: Suffixes) -> None:
        """Add items that came after training; they get the next numbers.

        Args:
            codes: (n, L) integers.
            suffixes: (n,) integers.

        Raises:
            InputError: the model cannot represent an item, or has an item with its ID.
        """

    def forward(self, examples: Tensor) -> Tensor:
        """Return the loss."""
        return self.loss(examples)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device


class ScoringModel(NextItemModel):
    """Scores every item of the catalogue as the next one; trains on all positions of a window.

    Histories and windows hold item numbers, oldest first, padded with -1 at the end.

    Attributes:
        repeats: adds a learnt number to the scores of the history's items; None adds nothing.
    """

    repeats: RepeatScore | None

    @abstractmethod
    def user_vectors(self, histories: Tensor) -> Tensor:
        """Return (B, d); products with the items' vectors are the scores before repeats.

        Args:
            histories: (B, T) int64; T is at most `history`.

        Raises:
            ValueError: a history is empty or longer than the model reads.
        """

    @abstractmethod
    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """Return (n_items, d), or (n, d) for items (n,) int64 alone."""

    def scores(self, histories: Tensor) -> Tensor:
        """Return (B, n_items) scores, higher is better.

        Raises:
            ValueError: as `user_vectors`.
        """
        return self.scores_of(self.user_vectors(histories), histories, self.item_vectors())

    def repeat_scores(self, histories: Tensor) -> Repeats | None:
        """Return what is added to the scores of the items in histories (B, T) int64."""
        return None if self.repeats is None else self.repeats(histories)

    def scores_of(self, users: Tensor, histories: Tensor, items: Tensor) -> Tensor:
        """Return the scores (B, n_items) for vectors of users (B, d) and of items (n_items, d)."""
        scores, repeats = users @ items.T, self.repeat_scores(histories)
        return scores if repeats is None else repeats.added_to(scores)

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
            lambda histories: self.scores_of(self.user_vectors(histories), histories, items),
            dataset,
            split,
            self.history,
            USERS_ON_GPU if self.device.type == "cuda" else USERS_ON_CPU,
            coverage=coverage,
            device=self.device,
            users=users,
        )


def check_histories(histories: Tensor, longest: int) -> Tensor:
    """Return where histories (B, T) have items: (B, T) bool.

    Args:
        longest: the most items of a history.

    Raises:
        ValueError: a history is empty, or longer than `longest`.
    """
    present = histories != NO_ITEM
    if not present.any(1).all() or histories.shape[1] > longest:
        raise ValueError(f"histories of 1 to {longest} items are needed")
    return present


def last_of_each(states: Tensor, present: Tensor) -> Tensor:
    """Return (B, d), the last state of each sequence.

    Args:
        states: (P, d), those of all P present positions, sequence after sequence.
        present: (B, T) bool, P of them True.
    """
    return states[present.sum(1).cumsum(0) - 1]
