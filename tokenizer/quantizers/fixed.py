"""Residual k-means: the codebook stays as k-means left it (RQ-KMeans)."""

import torch
from torch import Tensor

from tokenizer.config import QuantizerConfig
from tokenizer.quantizers.base import Quantizer

__all__ = ["KMeansQuantizer"]


class KMeansQuantizer(Quantizer):
    """Straight-through gradients past a frozen codebook.

    Attributes:
        centres: (K, d), a buffer.
    """

    centres: Tensor

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.register_buffer("centres", torch.zeros(config.codebook_size, dimension))

    def codebook(self) -> Tensor:
        return self.centres

    def set_codewords(self, centres: Tensor) -> None:
        self.centres.copy_(centres)
