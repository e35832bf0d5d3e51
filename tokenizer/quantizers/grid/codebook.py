"""Codes are points of a fixed grid in a few channels; a linear map leads to the channels."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokenizer.quantizer_config import QuantizerConfig
from tokenizer.quantizers.base.quantizer import Chosen, Quantizer

__all__ = ["GridQuantizer"]

# A direction with less spread starts at 0. Stretched to `SPREAD`, its rounding errors made training
# overflow.
LEAST_SPREAD, LEAST_DEVIATION = 1e-4, 1e-6


class GridQuantizer(Quantizer):
    """Maps latents down to m channels, rounds them to a grid over [−1, 1]^m, and maps back up.

    Gradients pass the rounding as if only the channels' tanh were there. The estimator depends on
    the level's own input, not on z and q. In a stack, the estimate of the sum is the sum of the
    levels' grid points; each has its channels' gradient for the hard residual that it codes.
    Channels start at the principal directions of the latents, scaled to `SPREAD`. The map up starts
    at the least-squares fit of the latents to their grid points. No codebook is learnt: `codebook`
    is the grid mapped up, and the decoder's loss trains both maps.

    Attributes:
        steps: number of values of each channel; their product is K.
        down, shift: z (n, d) → channels z downᵀ + shift (n, m), parameters (m, d) and (m,).
        up, offset: channels (n, m) → channels up + offset (n, d), parameters (m, d) and (d,).
        grid: (K, m), the grid's points; not saved, since the configuration determines it.
    """

    by_distance = False
    SPREAD = 1.0
    grid: Tensor

    def __init__(self, config: QuantizerConfig, dimension: int, steps: Sequence[int]) -> None:
        super().__init__(config, dimension)
        self.steps = tuple(steps)
        self.down = nn.Parameter(torch.zeros(len(self.steps), dimension))
        self.shift = nn.Parameter(torch.zeros(len(self.steps)))
        self.up = nn.Parameter(torch.zeros(len(self.steps), dimension))
        self.offset = nn.Parameter(torch.zeros(dimension))
        axes = [torch.linspace(-1, 1, step) for step in self.steps]
        grid = torch.cartesian_prod(*axes).view(-1, len(self.steps))
        self.register_buffer("grid", grid, persistent=False)

    def digits(self, channels: Tensor) -> Tensor:
        """Return the index of each channel's value, (n, m) int64, from 0."""
        raise NotImplementedError

    def channels(self, z: Tensor) -> Tensor:
        """Return the channels (n, m) before rounding, with gradients."""
        return z @ self.down.T + self.shift

    def codebook(self) -> Tensor:
        return self.grid @ self.up + self.offset

    def codewords(self, codes: Tensor) -> Tensor:
        return self.grid[codes] @ self.up + self.offset

    @torch.no_grad()
    def compared(self, z: Tensor) -> Tensor:
        return self.channels(z)

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        digits = self.digits(self.compared(z))
        weights = [math.prod(self.steps[i + 1 :]) for i in range(len(self.steps))]
        return (digits * digits.new_tensor(weights)).sum(1)

    def choose(self, z: Tensor, codes: Tensor | None = None) -> Chosen:
        codes = self.encode(z) if codes is None else codes
        q, bounded = self.codewords(codes), self.channels(z).tanh()
        return Chosen(codes, q, q + (bounded - bounded.detach()) @ self.up)

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        return q

    @torch.no_grad()
    def start_from(self, z: Tensor, generator: torch.Generator) -> None:
        """Start both maps from latents (n, d); with `start` = `random`, from random directions."""
        mean = z.mean(0)
        centred = (z - mean).double()
        if self.config.start == "random":
            drawn = torch.randn(self.dimension, self.dimension, generator=generator)
            directions = torch.linalg.qr(drawn.to(centred)).Q
        else:
            directions = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)
        chosen = directions[:, torch.arange(len(self.steps)) % self.dimension]
        deviation = (centred @ chosen).square().mean(0).sqrt()
        least = (LEAST_SPREAD * deviation.max()).clamp(min=LEAST_DEVIATION)
        factors = torch.where(deviation < least, 0.0, self.SPREAD / deviation)
        self.down.copy_((chosen * factors).T)
        self.shift.copy_(-self.down @ mean)
        points = self.grid[self.encode(z)].double()
        design = torch.cat([points, points.new_ones(len(z), 1)], dim=1)
        fitted = torch.linalg.pinv(design) @ z.double()
        self.up.copy_(fitted[:-1])
        self.offset.copy_(fitted[-1])
        self._searched = None
