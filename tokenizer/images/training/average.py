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

    def __init__(self, followed: ImageAutoencoder, decay: float) -> None:
        self.model = copy.deepcopy(followed.eval()).requires_grad_(requires_grad=False)
        self.decay, self.steps = decay, 0
        self._averages: list[Tensor] = list(self.model.parameters())
        self._current: list[Tensor] = list(followed.parameters())
        parameters = {name for name, _ in followed.named_parameters()}
        places = [name.rpartition(".") for name in followed.state_dict() if name not in parameters]
        # Looked up by module, since a module may replace a buffer of its own.
        self._buffers = [
            (self.model.get_submodule(module), followed.get_submodule(module), name)
            for module, _, name in places
        ]

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average towards the followed model, whose step is done."""
        self.steps += 1
        decay = min(self.decay, self.steps / (EARLY + self.steps))
        torch._foreach_lerp_(self._averages, self._current, 1 - decay)  # as torch's own average
        for ours, theirs, name in self._buffers:
            ours.get_buffer(name).copy_(theirs.get_buffer(name))
