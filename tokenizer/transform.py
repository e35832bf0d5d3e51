"""Integrated codebook transforms of GRIT-VQ, C̃ = T(C) (arXiv 2602.01140, §4.2)."""

import torch
from torch import Tensor, nn

__all__ = ["LinearTransform"]


class LinearTransform(nn.Module):
    """C̃ = (I + U Vᵀ) C W: each step moves every codeword, also those that no vector chose.

    Starts at the identity: U = 0, V small and random, W = I.

    Attributes:
        u, v: (K, r).
        w: (d, d).
    """

    def __init__(self, codebook_size: int, dimension: int, rank: int, spectral_clip: float) -> None:
        super().__init__()
        self.spectral_clip = spectral_clip
        self.u = nn.Parameter(torch.zeros(codebook_size, rank))
        self.v = nn.Parameter(torch.randn(codebook_size, rank) / codebook_size)
        self.w = nn.Parameter(torch.eye(dimension))

    def forward(self, codebook: Tensor) -> Tensor:
        """Return C̃ (K, d) of C (K, d) in O(K r d + K d²)."""
        mixed: Tensor = codebook + self.u @ (self.v.T @ codebook)
        return mixed @ self.w

    def rows(self, codebook: Tensor, codes: Tensor) -> Tensor:
        """Return the rows `codes` (n,) of C̃, (n, d), without forming the others."""
        mixed: Tensor = codebook[codes] + self.u[codes] @ (self.v.T @ codebook)
        return mixed @ self.w

    @torch.no_grad()
    def clip_(self) -> None:
        """Scale W down so that σ_max(W) ≤ `spectral_clip`."""
        sigma = torch.linalg.matrix_norm(self.w, ord=2)
        self.w.mul_((self.spectral_clip / sigma).clamp(max=1.0))
