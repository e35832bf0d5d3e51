"""A codebook that is a plain parameter, started by k-means."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tokenizer.config import QuantizerConfig
from tokenizer.quantizers.base.quantizer import Quantizer, mean_square

__all__ = ["LearntCodebook", "gap_length"]


class LearntCodebook(Quantizer):
    """C (K, d) learns by ‖sg z − q‖² beside the commitment β ‖z − sg q‖² (VQ-VAE, 1711.00937).

    Attributes:
        codes_matrix: C, a parameter.
    """

    learns = True

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.codes_matrix = nn.Parameter(torch.zeros(config.codebook_size, dimension))

    def codebook(self) -> Tensor:
        return self.codes_matrix

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        pulled = self.config.codebook_weight * mean_square(q - z.detach())
        return super().auxiliary(z, q, codes) + pulled

    def set_codewords(self, centres: Tensor) -> None:
        self.codes_matrix.copy_(centres)


def gap_length(gap: Tensor) -> Tensor:
    """Return ‖e‖ (n, 1) with the gradient u, which is 0 at e = 0."""
    direction = normalize(gap.detach(), dim=-1)
    return (gap * direction).sum(-1, keepdim=True)
