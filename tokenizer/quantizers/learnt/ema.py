"""Codebooks by exponential moving averages of their latents (VQ-VAE-2), with restarts."""

import torch
from torch import Tensor

from tokenizer.quantizer_config import EmaConfig
from tokenizer.quantizers.base.quantizer import Quantizer

__all__ = ["EmaQuantizer"]


class EmaQuantizer(Quantizer):
    """C is a moving average of its latents; a codeword with a running use below `LEAST` restarts.

    Use is measured in units of even use, n / K latents of a batch, so that `LEAST` means the same
    for every codebook and batch size. A restart sets the codeword and its statistics to a latent of
    the batch.

    Attributes:
        counts: (K,), the running use of each codeword; 1 is even use.
        sums: (K, d), running sums of the assigned latents, in the same unit.
    """

    config: EmaConfig
    follows = True
    LEAST = 0.05
    counts: Tensor
    sums: Tensor

    def __init__(self, config: EmaConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.register_buffer("counts", torch.ones(config.codebook_size))
        self.register_buffer("sums", torch.zeros(config.codebook_size, dimension))

    def codebook(self) -> Tensor:
        return self.sums / self.counts.unsqueeze(1)

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        self._follow(z.detach(), codes)
        return super().auxiliary(z, q, codes)

    def set_codewords(self, centres: Tensor) -> None:
        self.sums.copy_(centres)
        self.counts.fill_(1.0)

    @torch.no_grad()
    def _follow(self, z: Tensor, codes: Tensor) -> None:
        decay, even = self.config.decay, max(len(z), 1) / self.codebook_size
        counts = torch.bincount(codes, minlength=self.codebook_size)
        sums = torch.zeros_like(self.sums).index_add_(0, codes, z)
        self.counts.mul_(decay).add_(counts, alpha=(1 - decay) / even)
        self.sums.mul_(decay).add_(sums, alpha=(1 - decay) / even)
        dead = (self.counts < self.LEAST).nonzero().squeeze(1)
        if len(dead):
            drawn = torch.randint(len(z), (len(dead),)).to(z.device)
            self.sums[dead] = z[drawn]
            self.counts[dead] = 1.0
