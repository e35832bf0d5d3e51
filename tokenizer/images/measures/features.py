"""Measures on a classifier's features: perceptual distance, and Fréchet distance."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenizer.quantizers.learnt.wasserstein import gaussian_wasserstein, moments

__all__ = ["frechet_distance", "perceptual_distance"]

TINY = 1e-8  # positions where all features are 0 stay 0


def perceptual_distance(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """Return the distance (n,) of images by their feature maps, (n, c, h, w) for each stage.

    As LPIPS (arXiv 1801.03924) without its learnt weights: features scaled to length 1 at every
    position, squared differences summed over channels, means over positions and stages. It is not
    LPIPS, whose network is another one.
    """
    found = [(_unit(a) - _unit(b)).square().sum(1).mean((1, 2)) for a, b in zip(x, y, strict=True)]
    return torch.stack(found).mean(0)


def _unit(maps: Tensor) -> Tensor:
    # torch.nn.functional.normalize is several times slower over channels on a CPU.
    return maps * (maps.square().sum(1, keepdim=True) + TINY).rsqrt()


@torch.no_grad()
def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Return ‖μ_x − μ_y‖² + tr(Σ_x + Σ_y − 2 (Σ_x Σ_y)^½) of features (n, d) and (m, d).

    It is FID's formula (arXiv 1706.08500) on the features of another network, so no FID. It falls
    with the number of images; compare figures of equal numbers only.
    """
    return max(0.0, float(gaussian_wasserstein(moments(x.double()), moments(y.double()))))
