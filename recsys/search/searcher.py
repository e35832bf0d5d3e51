"""A trained search model on disk and in memory: a query and a history → ranked items."""

import json
import threading
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from data_prep.errors import InputError
from recsys.frozen_model import FrozenModel
from recsys.models.causal_transformer import TowerConfig
from recsys.search.data.dataset import NO_ITEM, SearchDataset
from recsys.search.model import SearchConfig, SearchModel

__all__ = ["Found", "FrozenSearch", "Searcher", "freeze_search"]


@dataclass(frozen=True)
class Found:
    """An item, and the inner product of its vector with the user's."""

    item_id: str
    score: float


@dataclass(frozen=True)
class FrozenSearch(FrozenModel[SearchDataset]):
    """The contents of a search model's folder.

    The catalogue has the items with their codes, and a query; no requests, no content vectors.
    """

    kind, command, format_key = "a search model", "semid train-search", "search_format"

    @staticmethod
    def load_catalogue(path: Path) -> SearchDataset:
        return SearchDataset.load(path)

    def model(self) -> SearchModel:
        """Build the model with its weights, in eval mode on the CPU.

        Raises:
            InputError: the weights do not fit the shape.
        """
        shape = dict(self.body["shape"])
        tower = TowerConfig(**shape.pop("tower"))
        parts = tuple(shape.pop("parts"))
        return self.with_weights(
            SearchModel(SearchConfig(parts, tower=tower, **shape), self.catalogue)
        )


def freeze_search(
    model: SearchModel, dataset: SearchDataset, metrics: dict[str, Any]
) -> FrozenSearch:
    """Return a trained model and its catalogue in the form that a folder keeps.

    Raises:
        InputError: the model does not read codes alone, so that it could not take in new items.
    """
    if not model.items.reads_codes_alone:
        raise InputError("a search model that is served reads codes alone; choose dual-encoder")
    catalogue = replace(dataset.catalogue(1), vectors=None)  # a query tells their vectors' length
    shape = json.loads(json.dumps(asdict(model.config)))
    encoder = list(catalogue.encoder)
    return FrozenSearch.freeze(model, shape, catalogue, metrics, encoder=encoder)


class Searcher:
    """A search model with its catalogue; new items can be added, and threads may share it.

    Attributes:
        fingerprint: of shape, weights and catalogue.
        tokenizer: fingerprint of the tokenizer whose codes the model reads.
        encoder: name and revision of the encoder of the queries.
        metrics: measured when it was trained.
        dimension: length of a query's vector.
    """

    def __init__(self, frozen: FrozenSearch) -> None:
        catalogue = frozen.catalogue
        self._model = frozen.model()
        self.fingerprint, self.metrics = frozen.fingerprint, frozen.metrics
        self.tokenizer, self.encoder = catalogue.tokenizer, catalogue.encoder
        self.dimension, self.history = self._model.query.in_features, self._model.history
        self._item_ids = list(catalogue.item_ids)
        self._numbers = {item_id: number for number, item_id in enumerate(self._item_ids)}
        assert catalogue.codes is not None
        self._codes = [catalogue.codes]
        self._codebook_size = catalogue.codebook_size
        self._hidden: set[int] = set()
        self._busy = threading.Lock()
        self._index = self._model.items.code_index()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `FrozenSearch.write` wrote; nothing is unpickled.

        Raises:
            InputError: a file is missing, cut short or changed, or of another format.
        """
        return cls(FrozenSearch.read(folder))

    def __len__(self) -> int:
        return len(self._item_ids)

    def check_tokenizer(self, fingerprint: str) -> None:
        """Check that the model reads the codes of this tokenizer.

        Raises:
            InputError: it reads another tokenizer's; the message names both.
        """
        if self.tokenizer != fingerprint:
            raise InputError(
                f"the search model reads IDs of tokenizer {self.tokenizer}, not of {fingerprint}; "
                f"serve that tokenizer, or train on these IDs"
            )

    def knows(self, item_id: str) -> bool:
        """Return whether the catalogue has an item; hidden items count."""
        return item_id in self._numbers

    def add(self, item_ids: Sequence[str], codes: NDArray[np.uint16]) -> int:
        """Add items that came after training, and return how many were added.

        Items that are in the catalogue already, and codes beyond the codebook, are skipped.

        Args:
            codes: (n, L), from the tokenizer that the model was trained with.
        """
        with self._busy:
            rows = [
                row
                for row, item_id in enumerate(item_ids)
                if item_id not in self._numbers and (codes[row] < self._codebook_size).all()
            ]
            if not rows:
                return 0
            self._model.items.extend(torch.from_numpy(codes[rows].astype(np.int64)))
            self._index.add(codes[rows])
            self._codes.append(np.asarray(codes[rows], dtype=np.uint16))
            for row in rows:
                self._numbers[item_ids[row]] = len(self._item_ids)
                self._item_ids.append(item_ids[row])
            return len(rows)

    def hide(self, item_id: str, *, hidden: bool = True) -> None:
        """Stop finding an item, or start again; histories may still contain it."""
        number = self._numbers.get(item_id)
        if number is not None:
            with self._busy:
                (self._hidden.add if hidden else self._hidden.discard)(number)

    def search(
        self,
        query: NDArray[np.float32] | None,
        history: Sequence[str] = (),
        k: int = 10,
        *,
        exclude_seen: bool = False,
        prefix: Sequence[int] = (),
        candidates: Collection[str] | None = None,
    ) -> list[Found]:
        """Return up to k items, best first.

        Args:
            query: (dimension,) float32, the query's vector; None for the history alone.
            history: item ids, oldest first; the last known ones are read.
            exclude_seen: whether to leave out the items of the history.
            prefix: the codes that an item's ID must begin with.
            candidates: ids of the only items that may be found; None for all.

        Raises:
            InputError: neither a query nor a known item of a history that the model reads; a query
                of another length; or k below 1.
        """
        if k < 1:
            raise InputError(f"k is {k}; give 1 or more")
        if query is not None and query.shape != (self.dimension,):
            raise InputError(
                f"the query's vector has shape {query.shape}; {self.dimension} is needed"
            )
        with self._busy:
            known = [self._numbers[item_id] for item_id in history if item_id in self._numbers]
            if query is None and not (known and self.history):
                raise InputError("give a query, or a history with an item of the catalogue")
            vectors = np.zeros((1, self.dimension), np.float32) if query is None else query[None]
            user = self._users(vectors, [known], asked=query is not None)
            hidden = self._hidden | (set(known) if exclude_seen else set())
            allowed = self._allowed(prefix, candidates)
            items, scores = self._index.search(user, k, hidden, allowed)
        return [
            Found(self._item_ids[item], score)
            for item, score in zip(items[0].tolist(), scores[0].tolist(), strict=True)
            if item >= 0
        ]

    @torch.no_grad()
    def _users(
        self,
        vectors: NDArray[np.float32],
        histories: Sequence[Sequence[int]],
        *,
        asked: bool = True,
    ) -> NDArray[np.float32]:
        recent = [list(items[-self.history :]) if self.history else [] for items in histories]
        width = max(map(len, recent), default=0)
        rows = [[*items, *[NO_ITEM] * (width - len(items))] for items in recent]
        given = torch.tensor(rows, dtype=torch.int64).view(len(rows), width)
        flags = torch.full((len(rows),), asked)
        users: NDArray[np.float32] = self._model.users(
            torch.from_numpy(np.ascontiguousarray(vectors)), flags, given
        ).numpy()
        return users

    def _allowed(
        self, prefix: Sequence[int], candidates: Collection[str] | None
    ) -> NDArray[np.int64] | None:
        """Return the numbers of the items that both filters let through; None for all."""
        found = None
        if prefix:
            if len(self._codes) > 1:
                self._codes = [np.concatenate(self._codes)]
            codes = self._codes[0]
            if len(prefix) > codes.shape[1]:
                return np.empty(0, dtype=np.int64)
            found = np.flatnonzero((codes[:, : len(prefix)] == np.asarray(prefix)).all(1))
        if candidates is not None:
            named = [self._numbers[each] for each in candidates if each in self._numbers]
            wanted = np.asarray(sorted(named), dtype=np.int64)
            found = wanted if found is None else np.intersect1d(found, wanted)
        return found
