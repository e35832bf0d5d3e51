"""The interface of models that write the IDs of items, which a search turns into ranked items."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from torch import Tensor

from recsys.data.dataset import HeldOutPart, SequenceDataset, Users
from recsys.evaluation.full_ranking import RankingQuality
from recsys.evaluation.metrics import CUTOFFS
from recsys.evaluation.top_lists import evaluate_lists
from recsys.generation.beam_search import FoundItems
from recsys.models.base import NextItemModel

__all__ = ["GenerativeModel"]


class SearchConfig(Protocol):
    """What a configuration tells of the search.

    Attributes:
        beams: of the search, which lists as many items; metrics have cutoffs up to it.
        validation_beams: of the search that measures the model in training.
    """

    @property
    def beams(self) -> int: ...

    @property
    def validation_beams(self) -> int: ...


class GenerativeModel(NextItemModel):
    """Finds the items that a model most probably writes after a history.

    Attributes:
        config: the shape of the model, and of its search.
        users_on_cpu, users_on_gpu: how many users are searched at once.
    """

    users_on_cpu: ClassVar[int] = 64
    users_on_gpu: ClassVar[int] = 512
    config: SearchConfig

    @property
    def users_at_once(self) -> int:
        """How many users are searched at once on the model's device."""
        return self.users_on_gpu if self.device.type == "cuda" else self.users_on_cpu

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

    def evaluate(
        self,
        dataset: SequenceDataset,
        split: HeldOutPart,
        users: Users | None = None,
        coverage: Sequence[int] = CUTOFFS,
        *,
        quick: bool = False,
    ) -> RankingQuality:
        beams = self.config.validation_beams if quick else self.config.beams
        return evaluate_lists(
            self.lists(dataset, beams),
            dataset,
            split,
            beams,
            self.history,
            self.users_at_once,
            coverage,
            self.device,
            users,
        )

    def lists(
        self, dataset: SequenceDataset, beams: int
    ) -> Callable[[Users, Tensor, Tensor | None], Tensor]:
        """Return what lists the most probable items of a dataset's users.

        It takes the users' numbers (B,), their histories, and the items to leave out, both as
        `recommend`; and returns items (B, beams) int64, best first, -1 after the last.
        """
        del dataset

        def listed(_: Users, histories: Tensor, excluded: Tensor | None) -> Tensor:
            return self.recommend(histories, beams, excluded, beams=beams).items

        return listed
