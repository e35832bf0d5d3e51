"""Quantizers stacked on residuals: level l codes what levels 1…l−1 left."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tokenizer.quantizers.base import Quantizer, QuantizerOutput

__all__ = ["ResidualQuantizer"]


class ResidualQuantizer(nn.Module):
    """L levels; the vector of codes (n, L) is the sum of the levels' codewords."""

    def __init__(self, levels: Sequence[Quantizer]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)

    @property
    def stages(self) -> list[Quantizer]:
        """The levels, as what they are."""
        return cast("list[Quantizer]", list(self.levels))

    def forward(self, z: Tensor) -> QuantizerOutput:
        """Quantize (n, d); codes are (n, L), the loss is the sum over levels.

        The next residual r − out keeps the gradient of out, so that the outputs telescope to
        z − r_{L+1} and the encoder's gradient counts once; detached, it would count L times.
        """
        if self.training and self.stages[0].on_sum:
            return self._forward_on_sum(z)
        residual, total, loss = z, torch.zeros_like(z), z.new_zeros(())
        codes = []
        for level in self.stages:
            output: QuantizerOutput = level(residual)
            residual = residual - output.quantized
            total = total + output.quantized
            loss = loss + output.loss
            codes.append(output.codes)
        return QuantizerOutput(total, torch.stack(codes, dim=1), loss)

    def _forward_on_sum(self, z: Tensor) -> QuantizerOutput:
        """Chain the levels hard, then take one surrogate step towards the sum of the codewords.

        Each level keeps its auxiliary loss; the encoder hears the first one's, as in `forward`,
        where deeper residuals telescope to no gradient.
        """
        residual, total, loss = z, torch.zeros_like(z), z.new_zeros(())
        codes = []
        for level in self.stages:
            chosen = level.encode(residual)
            q = level.codewords(chosen)
            loss = loss + level.auxiliary(residual, q, chosen)
            residual = (residual - q).detach()
            total = total + q
            codes.append(chosen)
        out = self.stages[0].estimate(z, total, codes[0])
        return QuantizerOutput(out, torch.stack(codes, dim=1), loss)

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        """Return codes (n, L) int64."""
        residual, codes = z, []
        for level in self.stages:
            chosen = level.encode(residual)
            residual = residual - level.decode(chosen)
            codes.append(chosen)
        return torch.stack(codes, dim=1)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors (n, d) of codes (n, L)."""
        parts = [level.decode(codes[:, index]) for index, level in enumerate(self.stages)]
        return torch.stack(parts).sum(0)

    @torch.no_grad()
    def codebooks(self) -> Tensor:
        """Return the codewords of all levels, (L, K, d)."""
        return torch.stack([level.searched() for level in self.stages])

    def start_from(self, z: Tensor, generator: torch.Generator) -> None:
        """Start each level from the residuals that the levels before it leave of latents (n, d)."""
        residual = z
        for level in self.stages:
            level.start_from(residual, generator)
            residual = residual - level.decode(level.encode(residual))

    def after_step(self, progress: float) -> None:
        """Bring every level's parameters into their bounds, and schedules to 0…1."""
        for level in self.stages:
            level.after_step(progress)
