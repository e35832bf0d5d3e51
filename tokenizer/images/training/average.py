"""The moving average of a model's parameters, which the papers measure."""

import copy

import torch
from torch import Tensor

from tokenizer.images.model.autoencoder import ImageAutoencoder

__all__ = ["Average"]

EARLY = 10  # the average follows faster in about its first EARLY / (1 − decay) steps


class Average:
    """A copy whose parameters follow those of a model; its saved buffers are the model's.

    Attributes:
        model: the copy, without gradients.
    """

    def __init__(self, model: ImageAutoencoder, decay: float) -> None:
        self.model = copy.deepcopy(model.eval()).requires_grad_(requires_grad=False)
        self.decay, self.steps = decay, 0
        names = {name for name, _ in model.named_parameters()}
        self._buffers = [name for name in model.state_dict() if name not in names]

    @torch.no_grad()
    def follow(self, model: ImageAutoencoder) -> None:
        """Move the average towards the model, whose step is done."""
        self.steps += 1
        decay = min(self.decay, self.steps / (EARLY + self.steps))
        averages: list[Tensor] = list(self.model.parameters())
        current: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(averages, current, 1 - decay)  # as torch's own average
        if self._buffers:
            ours, theirs = self.model.state_dict(), model.state_dict()
            for name in self._buffers:
                ours[name].copy_(theirs[name])
