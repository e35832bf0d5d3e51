"""Residual k-means: the codebook stays as k-means left it (RQ-KMeans)."""

import torch
from torch import Tensor

from tokenizer.config import QuantizerConfig
from tokenizer.kmeans import kmeans
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

    @torch.no_grad()
    def start_from(self, z: Tensor, generator: torch.Generator) -> None:
        self.centres.copy_(kmeans(z, self.codebook_size, generator))
        self._searched = None
