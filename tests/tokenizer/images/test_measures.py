"""Measures against other implementations, and against what their formulas say."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from tests.tokenizer.images.pictures import drawn
from tokenizer.images.measures.features import frechet_distance, perceptual_distance
from tokenizer.images.measures.images import psnr, ssim


def _pair() -> tuple[Tensor, Tensor]:
    x = torch.from_numpy(drawn(6)).permute(0, 3, 1, 2).contiguous()
    noise = torch.randint(-40, 40, x.shape, generator=torch.Generator().manual_seed(0))
    return x, (x.int() + noise).clamp(0, 255).to(torch.uint8)


def test_psnr_and_ssim_are_those_of_scikit_image() -> None:
    x, y = _pair()
    for image, other, decibels, similarity in zip(x, y, psnr(x, y), ssim(x, y), strict=True):
        a, b = image.numpy(), other.numpy()
        assert float(decibels) == pytest.approx(peak_signal_noise_ratio(a, b), rel=1e-4)
        wanted = structural_similarity(
            a, b, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert float(similarity) == pytest.approx(float(wanted), rel=1e-3)


def test_an_image_is_like_itself() -> None:
    x, y = _pair()
    assert psnr(x, x).tolist() == pytest.approx([100.0] * 6)
    assert ssim(x, x).tolist() == pytest.approx([1.0] * 6, abs=1e-5)
    assert (ssim(x, y) < 0.95).all()


def test_the_frechet_distance_is_that_of_its_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 5, generator=generator)
    y = torch.randn(300, 5, generator=generator) @ torch.randn(5, 5, generator=generator) + 1
    a, b = x.double().numpy(), y.double().numpy()
    cov_a, cov_b = (np.cov(v, rowvar=False, bias=True) for v in (a, b))
    root = sqrtm(cov_a @ cov_b).real
    wanted = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(float(wanted), rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_the_perceptual_distance_ignores_lengths_and_grows_with_angles() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, 4, 3, 3, generator=generator) for _ in range(2)]
    turned = [torch.flip(m, (1,)) for m in maps]
    longer, opposite = [3 * m for m in maps], [-m for m in maps]
    assert perceptual_distance(maps, longer).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert perceptual_distance(maps, opposite).tolist() == pytest.approx([4, 4], abs=1e-4)
    assert (perceptual_distance(maps, turned) > 0.1).all()
    zeros = [torch.zeros_like(m) for m in maps]
    assert perceptual_distance(zeros, zeros).tolist() == [0, 0]
