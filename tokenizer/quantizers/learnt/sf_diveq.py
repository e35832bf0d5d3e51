"""SF-DiVeQ (arXiv 2509.26469): in training, a curve through the codewords is the codebook."""

import torch
from torch import Tensor

from tokenizer.quantizer_config import DiveqConfig
from tokenizer.quantizers.base.quantizer import QuantizerOutput
from tokenizer.quantizers.learnt.diveq import DiVeq

__all__ = ["SfDiVeq", "short_path"]


class SfDiVeq(DiVeq):
    """In training a latent is assigned to one random point on a segment from c_k to c_{k+1}.

    Each segment offers one random point, and codes are numbers of segments. Both ends of the chosen
    segment learn, so that no codeword is left unused. A single level takes one DiVeQ step to each
    end, each with its own noise, weighted 1 − λ and λ. A stack chains the points hard and takes one
    step to their sum. Eval mode chooses the nearest codeword, so that an ID alone gives its vector;
    the paper's inference projects onto the curve.

    k-means centres are ordered along a short path. **Choice**: in any other order, the segments
    between centres would cross the whole space of latents.
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
    """Return an order (n,) of points (n, d); after each comes the nearest one not yet visited.

    The path starts at the point farthest from the mean.
    """
    at = (points - points.mean(0)).square().sum(1).argmax().view(1)
    left = torch.ones(len(points), dtype=torch.bool, device=points.device)
    order = [at]
    for _ in range(len(points) - 1):
        left.index_fill_(0, at, False)
        distances = (points - points.index_select(0, at)).square().sum(1)
        at = distances.masked_fill(~left, torch.inf).argmin().view(1)
        order.append(at)
    return torch.cat(order)
