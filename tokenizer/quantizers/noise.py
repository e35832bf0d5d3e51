"""Quantizers that put noise in the place of the quantization error: NSVQ and DiVeQ.

Their training value is not a codeword, so a stack chains its levels hard and takes one step on the
sum: each level then gets the same gradient.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tokenizer.quantizers.learnt import LearntCodebook

__all__ = ["DiVeq", "Nsvq"]


class Nsvq(LearntCodebook):
    """z + ‖q − z‖ · v/‖v‖, v ~ N(0, I) (Vali & Bäckström, IEEE Access 2022); no auxiliary loss."""

    on_sum = True

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        return z + _length(q - z) * normalize(torch.randn_like(z), dim=-1)

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        return z.new_zeros(())


class DiVeq(LearntCodebook):
    """z + ‖e‖ · sg[(e + v)/‖e + v‖], e = q − z, v ~ N(0, σ² I) (arXiv 2509.26469).

    There is no auxiliary loss. σ² is the config's `noise_variance`, its ROOT the deviation of v;
    at σ = 0 the value is q.
    """

    on_sum = True

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        gap = q - z
        noise = self.config.noise_variance**0.5 * torch.randn_like(gap)
        direction = normalize((gap + noise).detach(), dim=-1)
        return z + _length(gap) * direction

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        return z.new_zeros(())


def _length(gap: Tensor) -> Tensor:
    """Return ‖e‖ (n, 1) with the gradient u, which is 0 at e = 0."""
    direction = normalize(gap.detach(), dim=-1)
    return (gap * direction).sum(-1, keepdim=True)
