"""The rotation trick (arXiv 2410.06424): gradients turn and stretch as z does onto q."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tokenizer.quantizers.learnt.codebook import LearntCodebook

__all__ = ["RotationQuantizer"]


class RotationQuantizer(LearntCodebook):
    """out = ‖q‖/‖z‖ · R z, with the rotation R from z/‖z‖ to q/‖q‖; no gradient to R and ratio.

    R = I − 2 r rᵀ + 2 q̂ ẑᵀ, where r is the direction of ẑ + q̂. In a stack z is rotated once, onto
    the sum of the codewords.
    """

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        with torch.no_grad():
            from_, to = normalize(z, dim=-1), normalize(q, dim=-1)
            middle = normalize(from_ + to, dim=-1)
            ratio = q.norm(dim=-1, keepdim=True) / z.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        along_middle = (z * middle).sum(-1, keepdim=True) * middle
        along_from = (z * from_).sum(-1, keepdim=True) * to
        turned: Tensor = ratio * (z - 2 * along_middle + 2 * along_from)
        return turned + (q - turned).detach()
