"""SASRec: a causal Transformer over dense item IDs, with the softmax over the whole catalogue.

The shape is that of Kang & McAuley (ICDM 2018). The loss is that of Klenitskiy & Vasilev (RecSys
2023), without sampled negatives. eSASRec (RecSys 2025) has LiGR's layers and a sampled softmax.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from recsys.data.dataset import NO_ITEM, SequenceDataset
from recsys.data.histories import items_until
from recsys.models.base import Codes, ScoringModel, Suffixes, check_histories, last_of_each
from recsys.models.causal_transformer import INITIAL_STD, CausalTransformer, TowerConfig
from recsys.models.repeats import RepeatScore
from recsys.models.softmax_loss import full_softmax_loss

__all__ = ["Esasrec", "EsasrecConfig", "Sasrec"]


@dataclass(frozen=True)
class EsasrecConfig(TowerConfig):
    """The shape of eSASRec.

    Attributes:
        negatives: items drawn for each position, evenly from the catalogue.
    """

    gated: bool = True
    negatives: int = 256


class Sasrec(ScoringModel):
    """Scores all items as the next one after a history: the baseline without content."""

    def __init__(self, config: TowerConfig, dataset: SequenceDataset) -> None:
        super().__init__()
        self.config, self.history = config, config.history
        self.items = nn.Parameter(torch.randn(dataset.n_items, config.width) * INITIAL_STD)
        self.tower = CausalTransformer(config, config.history)
        self.repeats = RepeatScore(config.width) if config.repeats else None

    def extra_repr(self) -> str:
        return repr(self.config)

    def loss(self, examples: Tensor) -> Tensor:
        inputs, nexts = examples[:, :-1], examples[:, 1:]
        predicts = nexts != NO_ITEM
        states = self.tower(functional.embedding(inputs[predicts], self.items), predicts)
        return self._loss(states, nexts[predicts], items_until(inputs, predicts))

    def user_vectors(self, histories: Tensor) -> Tensor:
        present = check_histories(histories, self.history)
        states = self.tower(functional.embedding(histories[present], self.items), present)
        return last_of_each(states, present)

    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        return self.items if items is None else functional.embedding(items, self.items)

    def accepts(self, codes: Codes, suffixes: Suffixes) -> NDArray[np.bool_]:
        del suffixes
        return np.zeros(len(codes), dtype=bool)  # an item without events has no trained vector

    def extend(self, codes: Codes, suffixes: Suffixes) -> None:
        del suffixes
        if len(codes):
            raise InputError(
                "a model of dense IDs cannot represent an item that came after training"
            )

    def _loss(self, states: Tensor, targets: Tensor, before: Tensor) -> Tensor:
        return full_softmax_loss(states, self.items, targets, self.repeat_scores(before))


class Esasrec(Sasrec):
    """SASRec with gated layers, trained with a softmax over the target and drawn items.

    Raises:
        InputError: repeats, which a softmax over drawn items does not learn.
    """

    config: EsasrecConfig

    def __init__(self, config: EsasrecConfig, dataset: SequenceDataset) -> None:
        if config.repeats:
            raise InputError("repeats cannot be learnt from drawn items; choose sasrec")
        super().__init__(config, dataset)

    def _loss(self, states: Tensor, targets: Tensor, before: Tensor) -> Tensor:
        del before
        shape = (len(targets), self.config.negatives)
        drawn = torch.randint(len(self.items), shape, device=targets.device)
        others = torch.einsum("pd,pnd->pn", states, functional.embedding(drawn, self.items))
        others = others.masked_fill(drawn == targets[:, None], -torch.inf)
        own = (states * functional.embedding(targets, self.items)).sum(1, keepdim=True)
        first = torch.zeros_like(targets)
        return functional.cross_entropy(torch.cat([own, others], 1).float(), first)
