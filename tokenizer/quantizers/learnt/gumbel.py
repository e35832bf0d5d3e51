"""Straight-through Gumbel-softmax over negative squared distances (arXiv 1611.01144)."""

import torch
from torch import Tensor

from tokenizer.quantizer_config import QuantizerConfig
from tokenizer.quantizers.base.quantizer import Chosen, Quantizer
from tokenizer.quantizers.learnt.codebook import LearntCodebook

__all__ = ["GumbelQuantizer", "SampledQuantizer"]


class SampledQuantizer(Quantizer):
    """Codes are drawn in training; the softmax of their logits carries the gradient.

    The estimator depends on the level's own input, not on z and q. A level outputs y_l C, where y_l
    is the one-hot draw with the softmax's gradient. In a stack the estimate of the sum is Σ y_l
    C_l, with logits of the hard residuals. z's gradient is the sum of the gradients through the
    levels' softmaxes; a level whose choice is certain adds none.
    The temperature falls geometrically over training.
    """

    draws = True

    FIRST, LAST = 1.0, 0.1
    temperature: Tensor

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.register_buffer("temperature", torch.tensor(self.FIRST))

    def logits(self, z: Tensor, book: Tensor) -> Tensor:
        """Return the logits (n, K) of latents (n, d) over the codewords `book` (K, d)."""
        raise NotImplementedError

    def choose(self, z: Tensor, codes: Tensor | None = None) -> Chosen:
        """Draw codes at random; the argument `codes` is ignored."""
        book = self.codebook()
        logits = self.logits(z, book)
        uniform = torch.rand_like(logits).clamp(min=1e-20)
        scores = (logits - (-uniform.log()).log()) / self.temperature
        soft = scores.softmax(1)
        codes = scores.argmax(1)
        hard = torch.zeros_like(soft).scatter_(1, codes.unsqueeze(1), 1.0)
        drawn = soft + (hard - soft).detach()
        return Chosen(codes, book[codes], drawn @ book)

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        return q

    def after_step(self, progress: float) -> dict[str, int]:
        self.temperature.fill_(self.FIRST * (self.LAST / self.FIRST) ** progress)
        return super().after_step(progress)


class GumbelQuantizer(SampledQuantizer, LearntCodebook):
    """The codebook learns by the softmax's gradient, which reaches every codeword.

    Logits are negative squared distances; eval mode chooses the nearest codeword. Distances are
    divided by the mean squared distance to the nearest codeword, so that the temperature means the
    same at any scale.
    """

    def logits(self, z: Tensor, book: Tensor) -> Tensor:
        distances = z.square().sum(1, keepdim=True) + book.square().sum(1) - 2 * z @ book.T
        unit = distances.detach().min(1).values.mean().clamp(min=1e-12)
        return -distances / unit
