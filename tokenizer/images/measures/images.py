"""Measures between two images: PSNR and SSIM."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["psnr", "ssim"]

WINDOW, DEVIATION = 11, 1.5  # of SSIM's Gaussian window, as its paper has them
K1, K2 = 0.01, 0.03


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio (n,) in dB of images uint8 (n, 3, h, w); ≤ 100."""
    error = (x.float() - y.float()).square().mean((1, 2, 3)) / 255**2
    return -10 * error.clamp(min=1e-10).log10()


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the structural similarity (n,) of images uint8 (n, 3, h, w), h and w from 11 on.

    Wang et al. 2004: a Gaussian window of 11 × 11 with deviation 1.5, population statistics, the
    mean over windows that lie within the image, and over channels.
    """
    weights = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = (-weights.square() / (2 * DEVIATION**2)).exp()
    weights = (weights / weights.sum()).to(x.device, torch.float32)
    a, b = (values.float().flatten(0, 1).unsqueeze(1) / 255 for values in (x, y))
    moments = _blurred(torch.cat([a, b, a * a, b * b, a * b]), weights)
    mean_a, mean_b, aa, bb, ab = moments.chunk(5)
    var_a, var_b, covariance = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    bright = (2 * mean_a * mean_b + K1**2) / (mean_a**2 + mean_b**2 + K1**2)
    shaped = (2 * covariance + K2**2) / (var_a + var_b + K2**2)
    return (bright * shaped).mean((1, 2, 3)).view(len(x), -1).mean(1)


def _blurred(values: Tensor, weights: Tensor) -> Tensor:
    return functional.conv2d(
        functional.conv2d(values, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1)
    )
