"""SF-DiVeQ (arXiv 2509.26469): in training, a curve through the codewords is the codebook."""

import torch
from torch import Tensor

from tokenizer.quantizer_config import DiveqConfig
from tokenizer.quantizers.base.quantizer import QuantizerOutput
from tokenizer.quantizers.learnt.diveq import DiVeq

__all__ = ["SfDiVeq", "short_path"]


class SfDiVeq(DiVeq):
    """Training assigns to one random point on each segment from c_k to c_{k+1}; codes are segments.

    Both ends of a chosen segment learn, so that none is left over. One level steps to each end by
    DiVeQ, each with its own direction, weighed 1 − λ and λ; a stack chains the points hard and
    takes one step to their sum. In eval mode the nearest codeword is chosen, so that an ID alone
    gives its vector (the paper's inference projects onto the curve).

    k-means centres start in the order of a short path: **Choice**, since the segments between
    centres in any order cross the latents' space.
    """

    def __init__(self, config: DiveqConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self._dither = torch.zeros(config.codebook_size - 1, 1)  # λ of the last search

    def codebook(self) -> Tensor:
        """Return the codewords (K, d); in training the points on the segments (K − 1, d)."""
        if not self.training:
            return self.codes_matrix
        dither = self._dither.to(self.codes_matrix)
        return (1 - dither) * self.codes_matrix[:-1] + dither * self.codes_matrix[1:]

    def searched(self) -> Tensor:
        if self.training:
            self._dither = torch.rand_like(self.codes_matrix[1:, :1])
            self._searched = None
        return super().searched()

    def forward(self, z: Tensor, codes: Tensor | None = None) -> QuantizerOutput:
        if not self.training:
            return super().forward(z, codes)
        codes = self.encode(z) if codes is None else codes
        share = self._dither[codes]
        start, end = self.codes_matrix[codes], self.codes_matrix[codes + 1]
        first, second = self.estimate(z, start, codes), self.estimate(z, end, codes)
        out, point = ((1 - share) * a + share * b for a, b in ((first, second), (start, end)))
        return QuantizerOutput(out, codes, z.new_zeros(()), point)

    def set_codewords(self, centres: Tensor) -> None:
        super().set_codewords(centres[short_path(centres)])


def short_path(points: Tensor) -> Tensor:
    """Return an order (n,) of points (n, d) in which each is followed by the nearest one left.

    The path starts at the point farthest from the mean.
    """
    at = int((points - points.mean(0)).square().sum(1).argmax())
    left = torch.ones(len(points), dtype=torch.bool, device=points.device)
    order = [at]
    for _ in range(len(points) - 1):
        left[at] = False
        distances = (points - points[at]).square().sum(1)
        at = int(distances.masked_fill(~left, torch.inf).argmin())
        order.append(at)
    return torch.tensor(order, device=points.device)
