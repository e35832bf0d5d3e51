"""A codebook that is a plain parameter, started by k-means."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tokenizer.quantizer_config import QuantizerConfig, VqConfig
from tokenizer.quantizers.base.quantizer import Quantizer, mean_square

__all__ = ["LearntCodebook", "gap_length"]


class LearntCodebook(Quantizer):
    """C (K, d) is a parameter of its own.

    If the variant's configuration has VQ-VAE's losses (arXiv 1711.00937), C learns by ‖sg z − q‖²,
    in addition to the commitment loss β ‖z − sg q‖².

    Attributes:
        codes_matrix: C, a parameter.
    """

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.codes_matrix = nn.Parameter(torch.zeros(config.codebook_size, dimension))

    def codebook(self) -> Tensor:
        return self.codes_matrix

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        loss = super().auxiliary(z, q, codes)
        if isinstance(self.config, VqConfig):
            loss = loss + self.config.codebook_weight * mean_square(q - z.detach())
        return loss

    def set_codewords(self, centres: Tensor) -> None:
        self.codes_matrix.copy_(centres)


def gap_length(gap: Tensor) -> Tensor:
    """Return ‖e‖ (n, 1); its gradient is u = e/‖e‖, and 0 at e = 0."""
    direction = normalize(gap.detach(), dim=-1)
    return (gap * direction).sum(-1, keepdim=True)
