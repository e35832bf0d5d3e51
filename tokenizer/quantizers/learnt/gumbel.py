"""Straight-through Gumbel-softmax over negative squared distances (arXiv 1611.01144)."""

import torch
from torch import Tensor

from tokenizer.config import QuantizerConfig
from tokenizer.quantizers.base.quantizer import Quantizer, QuantizerOutput, mean_square
from tokenizer.quantizers.learnt.codebook import LearntCodebook

__all__ = ["GumbelQuantizer", "SampledQuantizer"]


class SampledQuantizer(Quantizer):
    """Codes are drawn in training; the softmax of their logits carries the gradient.

    The temperature falls geometrically over training.
    """

    draws = True

    FIRST, LAST = 1.0, 0.1
    temperature: Tensor

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.register_buffer("temperature", torch.tensor(self.FIRST))

    def logits(self, z: Tensor, book: Tensor) -> Tensor:
        """Return the logits (n, K) of latents (n, d), for the codewords `book` (K, d)."""
        raise NotImplementedError

    def forward(self, z: Tensor, codes: Tensor | None = None) -> QuantizerOutput:
        if not self.training:
            return super().forward(z, codes)
        book = self.codebook()
        logits = self.logits(z, book)
        uniform = torch.rand_like(logits).clamp(min=1e-20)
        scores = (logits - (-uniform.log()).log()) / self.temperature
        soft = scores.softmax(1)
        codes = scores.argmax(1)
        hard = torch.zeros_like(soft).scatter_(1, codes.unsqueeze(1), 1.0)
        chosen = soft + (hard - soft).detach()
        codewords = book[codes]
        loss = self.config.commitment * mean_square(z - codewords.detach())
        return QuantizerOutput(chosen @ book, codes, loss, codewords)

    def after_step(self, progress: float) -> dict[str, int]:
        self.temperature.fill_(self.FIRST * (self.LAST / self.FIRST) ** progress)
        return super().after_step(progress)


class GumbelQuantizer(SampledQuantizer, LearntCodebook):
    """Logits are negative squared distances; in eval mode the nearest codeword is chosen.

    Distances are in units of the mean squared distance to the nearest codeword, so that the
    temperature means the same at any scale.
    """

    def logits(self, z: Tensor, book: Tensor) -> Tensor:
        distances = z.square().sum(1, keepdim=True) + book.square().sum(1) - 2 * z @ book.T
        unit = distances.detach().min(1).values.mean().clamp(min=1e-12)
        return -distances / unit
