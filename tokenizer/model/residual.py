"""Quantizers stacked on residuals: level l codes what levels 1…l−1 left."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tokenizer.quantizers.base.quantizer import Quantizer, QuantizerOutput
from tokenizer.quantizers.base.search import search_paths

__all__ = ["ResidualQuantizer"]


class ResidualQuantizer(nn.Module):
    """L levels; the vector of codes (n, L) is the sum of the levels' codewords.

    Levels of a `parallel` variant code the vector itself, each in its own way.

    Attributes:
        beam: paths kept when vectors are coded.
    """

    def __init__(self, levels: Sequence[Quantizer]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(levels)
        self.beam = levels[0].config.search_beam

    @property
    def stages(self) -> list[Quantizer]:
        """The levels, as what they are."""
        return cast("list[Quantizer]", list(self.levels))

    def forward(self, z: Tensor) -> QuantizerOutput:
        """Quantize (n, d); codes are (n, L), the loss is the sum over levels.

        The next residual r − out keeps the gradient of out, so that the outputs telescope to
        z − r_{L+1} and the encoder's gradient counts once; detached, it would count L times.
        """
        if not self.training:
            codes = self.encode(z)
            decoded = self.decode(codes)
            return QuantizerOutput(decoded, codes, z.new_zeros(()), decoded)
        searched = self.encode(z) if self.beam > 1 and not self.stages[0].draws else None
        if self.stages[0].on_sum and len(self.stages) > 1:  # one level is its own sum
            return self._forward_on_sum(z, searched)
        residual, loss = z, z.new_zeros(())
        total, codewords = torch.zeros_like(z), torch.zeros_like(z)
        chosen = []
        for index, level in enumerate(self.stages):
            output: QuantizerOutput = level(residual, _column(searched, index))
            left = output.quantized
            if not level.hard:  # the next level sees what it will see of a frozen tokenizer
                left = left + (output.codewords - left).detach()
            residual = residual - left
            total = total + output.quantized
            codewords = codewords + output.codewords
            loss = loss + output.loss
            chosen.append(output.codes)
        loss = loss + self.stages[0].auxiliary_of_sum(z, codewords)
        return QuantizerOutput(total, torch.stack(chosen, dim=1), loss, codewords)

    def _forward_on_sum(self, z: Tensor, searched: Tensor | None) -> QuantizerOutput:
        """Chain the levels hard, then take one surrogate step towards the sum of the codewords.

        Each level keeps its auxiliary loss; the encoder hears the first one's, as in `forward`,
        where deeper residuals telescope to no gradient. Parallel levels have one, of the sum.
        """
        parallel = self.stages[0].parallel
        residual, total, loss = z, torch.zeros_like(z), z.new_zeros(())
        codes = []
        for index, level in enumerate(self.stages):
            chosen = level.encode(residual) if searched is None else searched[:, index]
            q = level.codewords(chosen)
            if not parallel:
                loss = loss + level.auxiliary(residual, q, chosen)
                residual = (residual - q).detach()
            total = total + q
            codes.append(chosen)
        first = self.stages[0]
        if parallel:
            loss = first.auxiliary(z, total, codes[0])
        out = first.estimate(z, total, codes[0])
        return QuantizerOutput(out, torch.stack(codes, dim=1), loss, total)

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        """Return codes (n, L) int64."""
        if self.beam > 1 and self.stages[0].by_distance:
            return search_paths(z, [level.searched() for level in self.stages], self.beam)
        residual, codes = z, []
        for level in self.stages:
            chosen = level.encode(residual)
            if not level.parallel:
                residual = residual - level.decode(chosen)
            codes.append(chosen)
        return torch.stack(codes, dim=1)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors (n, d) of codes (n, L), or of their first levels alone."""
        parts = [level.decode(column) for level, column in zip(self.stages, codes.T, strict=False)]
        return torch.stack(parts).sum(0)

    @torch.no_grad()
    def codebooks(self) -> Tensor:
        """Return the codewords of all levels, (L, K, d)."""
        return torch.stack([level.searched() for level in self.stages])

    def start_from(self, z: Tensor, generator: torch.Generator) -> None:
        """Start the levels from latents (n, d)."""
        self.stages[0].start_levels(self.stages, z, generator)

    def after_step(self, progress: float) -> list[dict[str, int]]:
        """Bring every level's parameters into their bounds, and schedules to 0…1.

        Returns:
            For each level how often each safeguard stepped in.
        """
        return [level.after_step(progress) for level in self.stages]


def _column(codes: Tensor | None, index: int) -> Tensor | None:
    return None if codes is None else codes[:, index]
