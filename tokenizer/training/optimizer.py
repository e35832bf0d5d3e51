"""AdamW for a network and a quantizer, and how its learning rates fall."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from tokenizer.quantizers.grit.transform import LinearTransform

__all__ = ["adamw", "half_cosine"]


def adamw(
    network: Iterable[nn.Parameter],
    quantizer: nn.Module,
    learning_rate: float,
    codebook_learning_rate: float,
    weight_decay: float,
) -> torch.optim.AdamW:
    """Return AdamW with weight decay on the network's matrices; each group has its peak rate.

    Args:
        quantizer: all its parameters have the codebook's rate, but for U and V of linear
            transforms, which have the transform's share of it.
        codebook_learning_rate: 0 for `learning_rate`.
    """
    network = list(network)
    rate = codebook_learning_rate or learning_rate
    paces = {
        id(parameter): module.pace
        for module in quantizer.modules()
        if isinstance(module, LinearTransform)
        for parameter in (module.u, module.v)
    }
    parameters = list(quantizer.parameters())
    groups = [
        ([p for p in network if p.dim() > 1], weight_decay, learning_rate),
        ([p for p in network if p.dim() <= 1], 0.0, learning_rate),
    ]
    groups += [
        ([p for p in parameters if paces.get(id(p), 1.0) == pace], 0.0, pace * rate)
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
