"""Locality-sensitive hashing by random hyperplanes: the ablation of TIGER (arXiv 2305.05065)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from tokenizer.quantizer_config import QuantizerConfig
from tokenizer.quantizers.base.quantizer import Quantizer
from tokenizer.quantizers.fixed.codebook import StartedTogether

__all__ = ["LshQuantizer"]


class LshQuantizer(StartedTogether):
    """A code has log₂ K bits: the side of each random hyperplane on which a latent lies.

    The hyperplanes go through the mean of the starting latents. Hashing itself has no codewords.
    Here each hyperplane j of all levels has a vector a_j; least squares fits them so that Σ ±a_j +
    offset comes near the starting latents. A level's codeword is its part of that sum plus an equal
    share of the offset.

    Attributes:
        planes, thresholds: buffers (log₂ K, d) and (log₂ K,); bit j of a latent z is planes_j · z >
            threshold_j.
        signs: (K, log₂ K), the bits of each code as ±1, not saved.
    """

    binary = True
    by_distance = False
    parallel = True
    planes: Tensor
    thresholds: Tensor
    signs: Tensor

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        bits = (config.codebook_size - 1).bit_length()
        self.register_buffer("planes", torch.zeros(bits, dimension))
        self.register_buffer("thresholds", torch.zeros(bits))
        digits = torch.arange(config.codebook_size).unsqueeze(1) >> torch.arange(bits) & 1
        self.register_buffer("signs", digits * 2.0 - 1, persistent=False)

    @torch.no_grad()
    def compared(self, z: Tensor) -> Tensor:
        return z @ self.planes.T

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        bits = (self.compared(z) > self.thresholds).long()
        return (bits << torch.arange(bits.shape[1], device=z.device)).sum(1)

    @classmethod
    @torch.no_grad()
    def start_levels(
        cls, levels: Sequence[Quantizer], z: Tensor, generator: torch.Generator
    ) -> None:
        hashes = cast("Sequence[LshQuantizer]", levels)
        for level in hashes:
            level.planes.copy_(torch.randn(level.planes.shape, generator=generator))
            level.thresholds.copy_(level.planes @ z.mean(0))
        signs = [level.signs[level.encode(z)].double() for level in hashes]
        design = torch.cat([*signs, z.new_ones(len(z), 1, dtype=torch.double)], dim=1)
        *fitted, offset = (torch.linalg.pinv(design) @ z.double()).split(
            [part.shape[1] for part in signs] + [1]
        )
        for level, vectors in zip(hashes, fitted, strict=True):
            level.set_codewords(level.signs.double() @ vectors + offset / len(hashes))
