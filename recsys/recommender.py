"""A trained recommender on disk and in memory: histories of item ids → ranked items."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_prep.errors import InputError
from recsys.data.dataset import NO_ITEM, SequenceDataset
from recsys.frozen_model import FrozenModel
from recsys.generation.generative_model import GenerativeModel
from recsys.inner_product_index import EXACT_UP_TO, InnerProductIndex
from recsys.item_index import ItemIndex
from recsys.item_numbers import ItemNumbers
from recsys.models.base import Codes, NextItemModel, ScoringModel, Suffixes
from recsys.shapes import (
    Shape,
    build_model,
    plain_shape,
    reads_codes,
    reads_content,
    shape_of,
)

__all__ = [
    "FrozenRecommender",
    "Recommendation",
    "Recommender",
    "freeze_recommender",
    "save_recommender",
]

BATCH = 32  # histories ranked at once
SAMPLE = 200  # users that choose how many lists of a large index are read


@dataclass(frozen=True)
class Recommendation:
    """An item and its score: a log-probability from models that generate, else an inner product.

    What transitions and repeats add counts in both.
    """

    item_id: str
    score: float


@dataclass(frozen=True)
class FrozenRecommender(FrozenModel[SequenceDataset]):
    """The contents of a recommender's folder.

    The catalogue has the items without users and events, and without codes if the model reads none.
    """

    kind, command, format_key = "a recommender", "semid train", "format"

    @staticmethod
    def load_catalogue(path: Path) -> SequenceDataset:
        return SequenceDataset.load(path)

    def model(self) -> NextItemModel:
        """Build the model with its weights, in eval mode on the CPU.

        Raises:
            InputError: the weights do not fit the shape.
        """
        return self.with_weights(build_model(shape_of(self.body["shape"]), self.catalogue))


def freeze_recommender(
    shape: Shape, model: NextItemModel, dataset: SequenceDataset, metrics: dict[str, Any]
) -> FrozenRecommender:
    """Return a trained model and its catalogue in the form that a folder keeps."""
    catalogue = dataset.without_users()
    if not reads_content(shape):
        catalogue = replace(catalogue, vectors=None)
    if not reads_codes(shape):
        catalogue = catalogue.without_codes()
    return FrozenRecommender.freeze(model, plain_shape(shape), catalogue, metrics)


def save_recommender(
    folder: Path,
    shape: Shape,
    model: NextItemModel,
    dataset: SequenceDataset,
    metrics: dict[str, Any],
) -> str:
    """Freeze and write a recommender, and return its fingerprint.

    Raises:
        InputError: the folder cannot be written.
    """
    frozen = freeze_recommender(shape, model, dataset, metrics)
    frozen.write(folder)
    return frozen.fingerprint


class Recommender:
    """A model with its catalogue; new items can be added, and threads may share it.

    Attributes:
        fingerprint: of shape, weights and catalogue.
        tokenizer: fingerprint of the tokenizer whose IDs the model reads; empty for dense IDs.
        metrics: measured when it was trained.
    """

    def __init__(
        self,
        model: NextItemModel,
        catalogue: SequenceDataset,
        fingerprint: str,
        metrics: dict[str, Any],
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        """Build the index over all items, if the model scores items.

        Args:
            exact_up_to: the most items that are searched one by one.
        """
        self.model, self.fingerprint, self.metrics = model.eval(), fingerprint, metrics
        self.tokenizer = catalogue.tokenizer
        self._items = ItemNumbers(catalogue.item_ids, catalogue.codes)
        self._trained = catalogue.n_items
        self._busy = threading.Lock()
        self._index = None
        if isinstance(model, ScoringModel):
            with torch.no_grad():
                sample = self._sample(model) if len(self) > exact_up_to else None
                vectors = model.item_vectors().numpy()
                self._index = ItemIndex(InnerProductIndex(vectors, sample, exact_up_to))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save_recommender` wrote; nothing is unpickled.

        Raises:
            InputError: a file is missing, cut short or changed, or of another format.
        """
        return cls.of(FrozenRecommender.read(folder))

    @classmethod
    def of(cls, frozen: FrozenRecommender) -> Self:
        """Return a recommender that can answer, from its frozen form."""
        return cls(frozen.model(), frozen.catalogue, frozen.fingerprint, frozen.metrics)

    def __len__(self) -> int:
        return len(self._items)

    def check_tokenizer(self, fingerprint: str) -> None:
        """Check that the model reads the IDs of this tokenizer, or no IDs.

        Raises:
            InputError: it reads another tokenizer's IDs; the message names both.
        """
        if self.tokenizer not in ("", fingerprint):
            raise InputError(
                f"the recommender reads IDs of tokenizer {self.tokenizer}, not of {fingerprint}; "
                f"serve that tokenizer, or train on these IDs"
            )

    def check_data(self, dataset: SequenceDataset) -> None:
        """Check that a dataset has the items that the model was trained on, in the same order.

        Raises:
            InputError: it has other items, or IDs of another tokenizer.
        """
        if dataset.tokenizer and self.tokenizer:
            self.check_tokenizer(dataset.tokenizer)
        if list(dataset.item_ids) != self._items.item_ids[: self._trained]:
            raise InputError(
                "the data has other items than the recommender's training data; prepare it from "
                "the same catalogue, or train again"
            )

    def add(self, item_ids: Sequence[str], codes: Codes, suffixes: Suffixes) -> int:
        """Add items that came after training, and return how many were added.

        Skips items that are in the catalogue already, and items that the model cannot represent (it
        reads dense IDs, or the suffix has no token).

        Args:
            codes: (n, L) uint16, from the tokenizer that the model was trained with.
            suffixes: (n,) uint32.
        """
        if not item_ids:
            return 0
        with self._busy:
            known = self.model.accepts(codes, suffixes)
            known &= np.asarray([item_id not in self._items for item_id in item_ids], dtype=bool)
            rows: list[int] = known.nonzero()[0].tolist()
            if not rows:
                return 0
            self.model.extend(codes[rows], suffixes[rows])
            if isinstance(self.model, ScoringModel) and self._index is not None:
                first = len(self._index.vectors)
                new = torch.arange(first, first + len(rows))
                with torch.no_grad():
                    self._index.vectors.add(self.model.item_vectors(new).numpy())
            self._items.add([item_ids[row] for row in rows], codes[rows])
            return len(rows)

    def knows(self, item_id: str) -> bool:
        """Return whether the catalogue has an item; hidden items count."""
        return item_id in self._items

    def hide(self, item_id: str, *, hidden: bool = True) -> None:
        """Stop recommending an item, or start again; histories may still contain it."""
        with self._busy:
            self._items.hide(item_id, hidden=hidden)

    def recommend(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        *,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
        prefix: Sequence[int] = (),
    ) -> list[list[Recommendation]]:
        """Return up to k items for each history, best first.

        The model reads the last known items of a history; unknown items are skipped.

        Args:
            histories: item ids, oldest first.
            exclude_seen: whether to leave out the items of the history.
            candidates: the only items that may be recommended; unknown ones are skipped, and
                `unknown` names them. None for all items. Scores stay what they are among all items.
            prefix: the first codes of the items that may be recommended.

        Raises:
            InputError: a history without a known item, or k beyond the catalogue; no item is left
                that can be recommended; a prefix for a model without codes.
        """
        if not 1 <= k <= len(self):
            raise InputError(f"k is {k}; give 1 to {len(self)}, the size of the catalogue")
        if not histories:
            return []
        with self._busy:
            among = self._items.among(candidates, prefix)
            known = [self._known(row, history) for row, history in enumerate(histories)]
            return [
                [Recommendation(self._items.item_ids[item], score) for item, score in row]
                for start in range(0, len(known), BATCH)
                for row in self._ranked(known[start : start + BATCH], k, exclude_seen, among)
            ]

    def unknown(self, item_ids: Sequence[str]) -> list[str]:
        """Return the distinct items that cannot be recommended: unknown or hidden ones."""
        return self._items.unknown(item_ids)

    def _sample(self, model: ScoringModel) -> NDArray[np.float32]:
        """Return users' vectors (n, d) that choose how a large index is searched.

        Half of the users have a history of one item, half one of several items.
        """
        draw = np.random.default_rng(0)
        users = [
            model.user_vectors(torch.from_numpy(draw.integers(0, len(self), (SAMPLE // 2, length))))
            for length in (1, model.history)
        ]
        return np.asarray(torch.cat(users).numpy())

    def _known(self, row: int, history: Sequence[str]) -> list[int]:
        """Return the numbers of a history's known items."""
        known = self._items.known(history)
        if not known:
            reason = "has no items" if not history else f"has no known item: {history[0]!r}"
            raise InputError(f"histories/{row} {reason}; give at least one item of the catalogue")
        return known

    @torch.no_grad()
    def _ranked(
        self,
        histories: Sequence[Sequence[int]],
        k: int,
        exclude_seen: bool,
        among: NDArray[np.int64] | None,
    ) -> list[list[tuple[int, float]]]:
        """Return each history's k best items by number, with their scores."""
        recent = _padded([items[-self.model.history :] for items in histories])
        seen = [set(items) if exclude_seen else set[int]() for items in histories]
        if isinstance(self.model, ScoringModel):
            assert self._index is not None
            users, repeats = self.model.user_vectors(recent), self.model.repeat_scores(recent)
            bonuses = repeats.by_item() if repeats else ()
            return self._index.search(users.numpy(), k, seen, bonuses, self._items.hidden, among)
        assert isinstance(self.model, GenerativeModel)
        left_out = [[*items, *(self._items.hidden if among is None else ())] for items in seen]
        excluded = _padded(left_out) if any(left_out) else None
        candidates = None if among is None else torch.from_numpy(among)
        found = self.model.recommend(recent, k, excluded, candidates)
        return [
            [(item, score) for item, score in zip(*row, strict=True) if item != NO_ITEM]
            for row in zip(found.items.tolist(), found.scores.tolist(), strict=True)
        ]


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return (rows, longest) int64, padded with -1 at the end."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[NO_ITEM] * (width - len(row))] for row in rows])
