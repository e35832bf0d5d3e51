"""Wasserstein VQ (arXiv 2506.15078): the codebook's distribution moves to the latents'."""

import torch
from torch import Tensor

from tokenizer.config import QuantizerConfig
from tokenizer.quantizers.learnt import LearntCodebook

__all__ = ["WassersteinQuantizer", "gaussian_wasserstein"]


class WassersteinQuantizer(LearntCodebook):
    """Adds γ · W₂² between the Gaussians of past latents and of the codewords.

    The latents' statistics carry no gradient. Both sides are divided by the latents' largest
    per-dimension deviation, so that γ means the same at any scale.

    Attributes:
        queue: the last `QUEUE` latents, a ring that is not saved.
    """

    QUEUE = 65_536
    queue: Tensor

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.register_buffer("queue", torch.zeros(0, dimension), persistent=False)

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        self.queue = torch.cat([self.queue, z.detach()])[-self.QUEUE :]
        unit = self.queue.std(0, correction=0).max().clamp(min=1e-12)
        distance = gaussian_wasserstein(self.queue / unit, self.codes_matrix / unit)
        return super().auxiliary(z, q, codes) + self.config.wasserstein * distance


def gaussian_wasserstein(x: Tensor, y: Tensor) -> Tensor:
    """Return W₂² of the Gaussians of rows x (n, d), without gradient, and y (k, d).

    ‖μ_x − μ_y‖² + tr(Σ_x + Σ_y − 2 (Σ_x^½ Σ_y Σ_x^½)^½); the inner product is symmetric, which
    Σ_x Σ_y is not.
    """
    with torch.no_grad():
        mean_x, cov_x = _moments(x)
        root = _root(cov_x)
    mean_y, cov_y = _moments(y)
    cross = root @ cov_y @ root
    values = torch.linalg.eigvalsh((cross + cross.T) / 2).clamp(min=1e-12)
    spread = cov_x.trace() + cov_y.trace() - 2 * values.sqrt().sum()
    distance: Tensor = (mean_x - mean_y).square().sum() + spread
    return distance


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.T @ centred / len(rows)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root
