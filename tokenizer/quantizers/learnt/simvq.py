"""SimVQ (arXiv 2411.02038): a frozen codebook behind one learnt linear map, C̃ = C W."""

import torch
from torch import Tensor, nn

from tokenizer.quantizer_config import VqConfig
from tokenizer.quantizers.base.quantizer import Quantizer, mean_square

__all__ = ["SimVq"]


class SimVq(Quantizer):
    """The codebook is C W, and only W learns: by ‖sg z − q‖², in addition to the commitment loss.

    Attributes:
        raw: C (K, d), a buffer.
        w: (d, d), the identity at the start.
    """

    config: VqConfig
    raw: Tensor

    def __init__(self, config: VqConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.w = nn.Parameter(torch.eye(dimension))
        self.register_buffer("raw", torch.zeros(config.codebook_size, dimension))

    def codebook(self) -> Tensor:
        return self.raw @ self.w

    def codewords(self, codes: Tensor) -> Tensor:
        return self.raw[codes] @ self.w

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        pulled = self.config.codebook_weight * mean_square(q - z.detach())
        return super().auxiliary(z, q, codes) + pulled

    def set_codewords(self, centres: Tensor) -> None:
        self.raw.copy_(centres)
