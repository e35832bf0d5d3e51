"""Two towers over semantic IDs: a user tower and an item tower; the score is their product.

The towers share the tables of code embeddings (GRIT-VQ, arXiv 2602.01140, G.4). The user tower is
a causal Transformer over a history's items. The item tower projects the item's embedding, or is
that embedding (tied).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from recsys.data.dataset import NO_ITEM, SequenceDataset
from recsys.data.histories import items_until, newest_first
from recsys.models.base import Codes, ScoringModel, Suffixes, check_histories, last_of_each
from recsys.models.calibration import HeldOut, calibrated, stand_ins, users_to_fit
from recsys.models.causal_transformer import CausalTransformer, TowerConfig
from recsys.models.item_vectors import ItemVectors
from recsys.models.nearness import Nearness
from recsys.models.repeats import Repeats, RepeatScore
from recsys.models.softmax_loss import full_softmax_loss, sampled_softmax_loss
from recsys.models.transitions import PLACES, Transitions

__all__ = ["LOSSES", "OUTPUTS", "DualEncoder", "DualEncoderConfig"]

LOSSES = ("full", "in_batch")
OUTPUTS = ("tied", "projected", "untied")
USERS_AT_ONCE = 512


@dataclass(frozen=True)
class DualEncoderConfig:
    """The shape of both towers, and how they are trained.

    Attributes:
        parts: the parts of an item's embedding, which is their sum; from
            `recsys.models.item_vectors.PARTS`. Beside another part, `dense` is a learnt residual.
        outputs: of the item tower: the embedding itself (`tied`), a linear map of it
            (`projected`), or separate embeddings of the same parts (`untied`).
        loss: `full`, softmax over the items that have a training event; or `in_batch`, softmax over
            the batch's targets, corrected by log-frequency.
        tower: the user tower.
        nearness: `codes`, `content` or empty: how near an item is to the history's last items
            counts, as in `recsys.models.nearness`; how much is fitted after the training.
        transitions: whether it counts what users took after the history's last items, as in
            `recsys.models.transitions`; how much is fitted after the training.
        drop_rows: share of the items that a training step takes as if they had no training event,
            so that new items get their due (as DropoutNet, NeurIPS 2017, does).
    """

    parts: tuple[str, ...] = ("codes", "dense")
    outputs: str = "tied"
    loss: str = "full"
    tower: TowerConfig = field(default_factory=TowerConfig)
    nearness: str = ""
    transitions: bool = False
    drop_rows: float = 0.0


class DualEncoder(ScoringModel):
    """Scores items by the product of a user's vector with the items' vectors.

    Items without a training event are never negatives, so that they do not push their codes away.

    Raises:
        InputError: an unknown loss or output; loss in_batch with repeats; as `ItemVectors`.
    """

    def __init__(self, config: DualEncoderConfig, dataset: SequenceDataset) -> None:
        super().__init__()
        for name, known in (("loss", LOSSES), ("outputs", OUTPUTS)):
            if (given := getattr(config, name)) not in known:
                raise InputError(f"{name} {given!r}; choose from {', '.join(known)}")
        if config.tower.repeats and config.loss == "in_batch":
            # A window's own items are always candidates, whatever else is in the batch.
            raise InputError("repeats cannot be learnt by loss in_batch; choose loss full")
        self.config, self.history = config, config.tower.history
        width, self.codebook_size = config.tower.width, dataset.codebook_size
        self.items = ItemVectors(dataset, config.parts, width)
        self.own = ItemVectors(dataset, config.parts, width) if config.outputs == "untied" else None
        self.projection = nn.Linear(width, width) if config.outputs == "projected" else None
        self.tower = CausalTransformer(config.tower, self.history)
        self.repeats = RepeatScore(width) if config.tower.repeats else None
        # `calibrate` alone fits these three.
        self.nearness = self.transitions = self.fresh = None
        if config.nearness:
            self.nearness = Nearness(dataset, config.nearness, self.history, width)
            self.nearness.requires_grad_(False)
            # How much nearness counts for items without a training event, and what they start from.
            self.fresh = nn.Parameter(torch.tensor([1.0, 0.0]), requires_grad=False)
        if config.transitions:
            self.transitions = Transitions(dataset, min(PLACES, self.history), width)
        popularity = torch.from_numpy(dataset.popularity)
        seen = popularity.nonzero().squeeze(1)
        place = torch.full((dataset.n_items,), -1).index_copy(0, seen, torch.arange(len(seen)))
        shares = (popularity / popularity.sum().clamp(min=1)).clamp(min=torch.finfo().tiny)
        for name, buffer in (
            ("seen", seen),
            ("place", place),
            ("log_share", shares.log().float()),
            ("trained", popularity > 0),
        ):
            self.register_buffer(name, buffer, persistent=False)

    def extra_repr(self) -> str:
        return repr(self.config)

    def loss(self, examples: Tensor) -> Tensor:
        inputs, nexts = examples[:, :-1], examples[:, 1:]
        predicts = nexts != NO_ITEM
        dropped = self._dropped()
        embeddings = self.items(dropped)
        states = self.tower(functional.embedding(inputs[predicts], embeddings), predicts)
        repeats = super().repeat_scores(items_until(inputs, predicts))
        return self._loss(states, repeats, nexts[predicts], self._outputs(embeddings, dropped))

    def user_vectors(self, histories: Tensor) -> Tensor:
        """Return (B, d) for histories (B, T) int64.

        With nearness, both kinds of vectors have further columns, whose products are the nearness.

        Raises:
            ValueError: a history is empty or too long.
        """
        users = self._read(histories, lambda items: self.items(items=items))
        if self.nearness is None:
            return users
        unit = torch.full_like(users[:, :1], self.nearness.unit)
        return torch.cat([users, self.nearness.of_histories(histories)[0], unit], 1)

    def item_vectors(self, items: Tensor | None = None) -> Tensor:
        """Return (n_items, d); products with users' vectors are the scores before repeats.

        Args:
            items: (n,) int64, the only items whose vectors are computed; all where None.
        """
        outputs = self._outputs(self.items(items=items), items=items)
        if self.nearness is None:
            return outputs
        factors, starts = self._of_new_items(items)
        near = self.nearness.get_buffer("vectors")
        near = near if items is None else functional.embedding(items, near)
        return torch.cat([outputs, factors[:, None] * near, starts[:, None]], 1)

    def repeat_scores(self, histories: Tensor) -> Repeats | None:
        """Return what is added to the scores of the items in histories (B, T) int64."""
        parts = [super().repeat_scores(histories)]
        if self.nearness is not None:
            factors, _ = self._of_new_items(histories.clamp(min=0))
            parts.append(self.nearness.to_itself(histories, factors))
        if self.transitions is not None:
            places = len(self.transitions.weights)
            parts.append(self.transitions.of_histories(newest_first(histories, places)))
        found = [part for part in parts if part is not None]
        return reduce(Repeats.and_also, found) if found else None

    @property
    def calibrates(self) -> bool:
        return self.nearness is not None or self.transitions is not None

    @torch.no_grad()
    def calibrate(self, dataset: SequenceDataset) -> None:
        """Fit how much nearness and transitions count (`recsys.models.calibration`).

        Where too few validation users took an item without a training event, a tenth of the other
        items stands for such items.
        """
        if not self.calibrates:
            return
        users = users_to_fit(dataset)
        rows = torch.from_numpy(dataset.histories("validation", self.history, users))
        targets = torch.from_numpy(dataset.targets("validation")[users]).to(self.device)
        rows = rows.to(self.device)
        new, dropped = ~self.get_buffer("trained"), None
        if self.nearness is not None and (instead := stand_ins(new, targets)).any():
            dropped, new = instead, new | instead
        table = self.items(dropped)
        states = [
            self._read(part, lambda items: functional.embedding(items, table))
            for part in torch.split(rows, USERS_AT_ONCE)
        ]
        last = newest_first(rows, min(PLACES, self.history))
        followers = last.new_zeros(*last.shape, 0)  # none
        shares = followers.float()
        if self.transitions is not None:
            followers, shares = self.transitions.after(last, dropped)
        found = calibrated(
            HeldOut(
                torch.cat(states),
                self._outputs(table, dropped),
                table[:, :0] if self.nearness is None else self.nearness.get_buffer("vectors"),
                last,
                followers,
                shares,
                torch.where(rows == NO_ITEM, rows[:, :1], rows),
                targets,
                new,
            )
        )
        if self.nearness is not None:
            assert self.fresh is not None
            unit = self.nearness.unit
            self.nearness.weights.zero_()
            self.nearness.weights[0, : len(found.nearness)] = found.nearness / unit
            self.fresh.copy_(torch.tensor([found.factor, found.start / unit]))
        if self.transitions is not None:
            self.transitions.weights.copy_(found.transitions)

    def accepts(self, codes: Codes, suffixes: Suffixes) -> NDArray[np.bool_]:
        del suffixes
        of_content = self.items.needs_content or self.config.nearness == "content"
        if "codes" not in self.config.parts or of_content:
            return np.zeros(len(codes), dtype=bool)
        return np.asarray((codes < self.codebook_size).all(1))

    def extend(self, codes: Codes, suffixes: Suffixes) -> None:
        """Add items whose vectors are made of their codes alone, without a residual."""
        if not self.accepts(codes, suffixes).all():
            raise InputError(
                "the model cannot represent a new item: it does not read codes alone, or a code is "
                "beyond its codebook"
            )
        for table in (self.items, self.own, self.nearness):
            if table is not None:
                table.extend(torch.from_numpy(codes.astype(np.int64)))
        if self.transitions is not None:
            self.transitions.extend(len(codes))
        trained = self.get_buffer("trained")
        self.trained = torch.cat([trained, trained.new_zeros(len(codes))])

    def _dropped(self) -> Tensor | None:
        """Return the items that this training step takes as new ones, (n_items,) bool."""
        if not (self.config.drop_rows and self.training):
            return None
        trained = self.get_buffer("trained")
        return torch.rand(len(trained), device=trained.device) < self.config.drop_rows

    def _read(self, histories: Tensor, embed: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the states (B, d) after histories (B, T); `embed` makes (P,) items (P, d)."""
        present = check_histories(histories, self.history)
        return last_of_each(self.tower(embed(histories[present]), present), present)

    def _outputs(
        self, embeddings: Tensor, dropped: Tensor | None = None, items: Tensor | None = None
    ) -> Tensor:
        return self._projected(embeddings) if self.own is None else self.own(dropped, items)

    def _of_new_items(self, items: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what items' nearness is multiplied by, and what their scores start from.

        Args:
            items: int64 of any shape, which is that of both results; None for all, (n_items,).
        """
        assert self.fresh is not None
        trained = self.get_buffer("trained")
        is_new = (~(trained if items is None else trained[items])).float()
        return 1 + is_new * (self.fresh[0] - 1), is_new * self.fresh[1]

    def _projected(self, embeddings: Tensor) -> Tensor:
        if self.projection is None:
            return embeddings
        projected: Tensor = self.projection(embeddings)
        return projected

    def _loss(
        self, states: Tensor, repeats: Repeats | None, targets: Tensor, outputs: Tensor
    ) -> Tensor:
        if self.config.loss == "in_batch":
            return sampled_softmax_loss(states, outputs, targets, self.get_buffer("log_share"))
        seen = self.get_buffer("seen")
        return full_softmax_loss(
            states,
            functional.embedding(seen, outputs),
            self.get_buffer("place")[targets],
            repeats and repeats.among(seen),
        )
