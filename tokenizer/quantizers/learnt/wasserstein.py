"""Wasserstein VQ (arXiv 2506.15078): the codebook's distribution moves to the latents'."""

import torch
from torch import Tensor

from tokenizer.quantizer_config import WassersteinConfig
from tokenizer.quantizers.learnt.codebook import LearntCodebook

__all__ = ["WassersteinQuantizer", "gaussian_wasserstein", "moments"]

Moments = tuple[Tensor, Tensor]  # mean (d,) and covariance (d, d)


class WassersteinQuantizer(LearntCodebook):
    """Adds the loss γ · W₂² between the Gaussians fitted to past latents and to the codewords.

    The latents' statistics have no gradient. Latents and codewords are divided by the latents'
    largest per-dimension deviation, so that γ means the same at any scale.

    Attributes:
        queue: the last `QUEUE` latents; neither the queue nor its sums are saved.
        total, products: Σ x (d,) and Σ x xᵀ (d, d) of the queue, float64.
    """

    config: WassersteinConfig
    QUEUE = 65_536
    queue: Tensor
    total: Tensor
    products: Tensor

    def __init__(self, config: WassersteinConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.register_buffer("queue", torch.zeros(0, dimension), persistent=False)
        sums = torch.zeros(dimension, dimension + 1, dtype=torch.float64)
        self.register_buffer("total", sums[:, 0].clone(), persistent=False)
        self.register_buffer("products", sums[:, 1:].clone(), persistent=False)

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        mean, covariance = self._follow(z.detach())
        unit = covariance.diagonal().max().sqrt().clamp(min=1e-12)
        codewords = moments(self.codes_matrix / unit)
        distance = gaussian_wasserstein((mean / unit, covariance / unit**2), codewords)
        return super().auxiliary(z, q, codes) + self.config.wasserstein * distance

    @torch.no_grad()
    def _follow(self, z: Tensor) -> Moments:
        """Add latents to the queue, and return the queue's moments, computed from running sums."""
        gone = self.queue[: max(0, len(self.queue) + len(z) - self.QUEUE)]
        for rows, sign in ((z.to(self.total), 1), (gone.to(self.total), -1)):
            self.total += sign * rows.sum(0)
            self.products += sign * rows.T @ rows
        self.queue = torch.cat([self.queue[len(gone) :], z])
        mean = self.total / len(self.queue)
        covariance = self.products / len(self.queue) - torch.outer(mean, mean)
        return mean.to(z), covariance.to(z)


def gaussian_wasserstein(x: Moments, y: Moments) -> Tensor:
    """Return W₂² of two Gaussians; no gradient goes to x.

    W₂² = ‖μ_x − μ_y‖² + tr(Σ_x + Σ_y − 2 (Σ_x^½ Σ_y Σ_x^½)^½). The inner product is symmetric; Σ_x
    Σ_y is not.
    """
    mean_x, cov_x = (part.detach() for part in x)
    root = _root(cov_x)
    mean_y, cov_y = y
    cross = root @ cov_y @ root
    values = torch.linalg.eigvalsh((cross + cross.T) / 2).clamp(min=1e-12)
    spread = cov_x.trace() + cov_y.trace() - 2 * values.sqrt().sum()
    distance: Tensor = (mean_x - mean_y).square().sum() + spread
    return distance


def moments(rows: Tensor) -> Moments:
    """Return mean (d,) and covariance (d, d) of rows (n, d)."""
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.T @ centred / len(rows)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root
