"""AdamW for a network and a quantizer, and how its learning rates fall."""

import math
from typing import Protocol

import torch
from torch import nn

from tokenizer.quantizers.grit.transform import LinearTransform

__all__ = ["adamw", "half_cosine"]


class Rates(Protocol):
    """What a configuration says of the optimizer."""

    @property
    def learning_rate(self) -> float: ...
    @property
    def codebook_learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


class Coder(Protocol):
    """A model: a network around a quantizer."""

    @property
    def encoder(self) -> nn.Module: ...
    @property
    def decoder(self) -> nn.Module: ...
    @property
    def quantizer(self) -> nn.Module: ...


def adamw(model: Coder, config: Rates) -> torch.optim.AdamW:
    """Return AdamW with weight decay on the network's matrices; each group has its peak rate.

    The quantizer's parameters have the codebook's rate; U and V of linear transforms have the
    transform's share of it.
    """
    network = [*model.encoder.parameters(), *model.decoder.parameters()]
    quantizer = list(model.quantizer.parameters())
    rate = config.codebook_learning_rate or config.learning_rate
    paces = {
        id(parameter): module.pace
        for module in model.quantizer.modules()
        if isinstance(module, LinearTransform)
        for parameter in (module.u, module.v)
    }
    groups = [
        ([p for p in network if p.dim() > 1], config.weight_decay, config.learning_rate),
        ([p for p in network if p.dim() <= 1], 0.0, config.learning_rate),
    ]
    groups += [
        ([p for p in quantizer if paces.get(id(p), 1.0) == pace], 0.0, pace * rate)
        for pace in sorted({1.0, *paces.values()}, reverse=True)
    ]
    return torch.optim.AdamW(
        [
            {"params": part, "weight_decay": decay, "peak": peak, "lr": peak}
            for part, decay, peak in groups
            if part
        ],
        fused=True,
    )


def half_cosine(progress: float) -> float:
    """Return the learning rate's factor at a `progress` of 0…1; it falls from 1 to 0."""
    return (1 + math.cos(math.pi * min(progress, 1))) / 2
