"""SF-DiVeQ's curve and HyperVQ's ball."""

import math
from dataclasses import replace

import pytest
import torch

from tests.tokenizer.quantizers.autograd import gradient
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizer_config import DiveqConfig, variant_config
from tokenizer.quantizers.base.search import nearest
from tokenizer.quantizers.learnt.hypervq import HyperVq, exponential_map, hyperplane_distances
from tokenizer.quantizers.learnt.sf_diveq import SfDiVeq, short_path

CONFIG = DiveqConfig("sf_diveq", codebook_size=16)


def _latents(scale: float = 5.0) -> torch.Tensor:
    return torch.randn(400, 8, generator=torch.Generator().manual_seed(1)) * scale


def _curve(**changes: object) -> SfDiVeq:
    level = SfDiVeq(replace(CONFIG, **changes), 8)  # type: ignore[arg-type]
    level.start_from(_latents(), torch.Generator().manual_seed(0))
    return level


def _ball(scale: float = 5.0) -> HyperVq:
    level = HyperVq(variant_config("hypervq", codebook_size=16), 8)
    level.start_from(_latents(scale), torch.Generator().manual_seed(0))
    return level


def test_training_values_lie_near_the_curve() -> None:
    """On the chosen segment without noise; the deviation is the ROOT of the variance."""
    level, z = _curve(noise_variance=0.0).train(), _latents()
    output = level(z)
    first = level.codes_matrix[output.codes]
    along = level.codes_matrix[output.codes + 1] - first
    share = ((output.quantized - first) * along).sum(1) / along.square().sum(1)
    assert ((share >= -1e-5) & (share <= 1 + 1e-5)).all()
    assert torch.allclose(first + share[:, None] * along, output.quantized, atol=1e-4)
    points = level.codebook()
    assert torch.allclose(output.quantized, points[output.codes], atol=1e-4)
    assert torch.equal(nearest(z, points.detach())[0], output.codes)
    noisy = _curve(noise_variance=0.01).train()
    aside = (noisy(z).quantized - noisy.codebook()[noisy(z).codes]).norm(dim=1)
    assert 0 < aside.mean() < 20


def test_both_ends_learn_along_their_own_direction() -> None:
    level, z = _curve(noise_variance=0.0).double().train(), _latents().double()[:1]
    output = level(z)
    weights = torch.randn(1, 8, dtype=torch.float64)
    (output.quantized * weights).sum().backward()
    code, share = int(output.codes), float(level._dither[output.codes])
    for end, weight in ((code, 1 - share), (code + 1, share)):
        direction = torch.nn.functional.normalize(level.codes_matrix[end].detach() - z[0], dim=0)
        expected = weight * (weights[0] @ direction) * direction
        assert torch.allclose(gradient(level.codes_matrix)[end], expected)
    assert (gradient(level.codes_matrix).abs().sum(1) > 0).sum() == 2


def test_a_stack_steps_to_the_sum_of_its_points() -> None:
    """Every level's ends get the same vector, weighed 1 − λ and λ."""
    config = replace(CONFIG, levels=3)
    stack = ResidualQuantizer([SfDiVeq(config, 8) for _ in range(3)])
    stack.start_from(_latents(), torch.Generator().manual_seed(0))
    output = stack.train()(_latents()[:1])
    (output.quantized * torch.randn(1, 8)).sum().backward()
    sums = []
    for index, level in enumerate(stack.stages):
        assert isinstance(level, SfDiVeq)
        code = int(output.codes[0, index])
        share = float(level._dither[code])
        first, second = gradient(level.codes_matrix)[code : code + 2]
        assert torch.allclose(first * share, second * (1 - share), atol=1e-6)
        sums.append(first + second)
    assert sums[0].abs().sum() > 0
    assert torch.allclose(sums[0], sums[1], atol=1e-6)
    assert torch.allclose(sums[0], sums[2], atol=1e-6)


def test_the_curve_is_searched_anew_and_by_a_beam_too() -> None:
    level = _curve().train()
    assert not torch.equal(level.searched(), level.searched())
    assert len(level.searched()) == 15
    assert level.eval().searched().shape == (16, 8)
    stack = ResidualQuantizer([SfDiVeq(replace(CONFIG, search_beam=3), 8) for _ in range(3)])
    stack.start_from(_latents(), torch.Generator().manual_seed(0))
    assert stack.train()(_latents()).codes.max() == 14


def test_the_path_through_the_centres_is_short() -> None:
    points = torch.rand(40, 1, generator=torch.Generator().manual_seed(0))
    order = short_path(points)
    assert torch.equal(order.sort().values, torch.arange(40))
    assert torch.equal(points[order, 0].diff().sign().unique().abs(), torch.ones(1))
    wide = _latents()
    lengths = [
        wide[order].diff(dim=0).norm(dim=1).sum() for order in (short_path(wide), range(400))
    ]
    assert lengths[0] < 0.8 * lengths[1]


def test_the_maps_are_inverse_and_stay_in_the_ball() -> None:
    tangents = torch.randn(100, 8, dtype=torch.float64) / 2
    assert torch.allclose(_logarithmic_map(exponential_map(tangents)), tangents)
    assert exponential_map(torch.zeros(1, 8)).abs().max() == 0
    lengths = exponential_map(torch.randn(100, 8) * 1e6).norm(dim=1)
    assert lengths.max() < 1
    assert torch.allclose(lengths, torch.tensor(math.tanh(4.0)))


def test_distances_are_those_from_hyperplanes() -> None:
    """0 on the plane and twice the tangent's length along its normal, where the plane passes 0.

    Beyond, those of Ganea et al.: asinh(2⟨−p ⊕ x, u⟩ / (1 − ‖−p ⊕ x‖²)).
    """
    directions = torch.nn.functional.normalize(torch.randn(5, 8, dtype=torch.float64), dim=1)
    offsets = torch.randn(5, dtype=torch.float64)
    on_plane = exponential_map(offsets[:, None] * directions)
    assert hyperplane_distances(on_plane, directions, offsets).diagonal().abs().max() < 1e-9
    along = exponential_map(0.7 * directions)
    found = hyperplane_distances(along, directions, torch.zeros(5).double()).diagonal()
    assert torch.allclose(found, torch.tensor(1.4, dtype=torch.float64))
    points = exponential_map(torch.randn(5, 8, dtype=torch.float64))
    moved = _mobius(-on_plane, points)
    expected = (2 * (moved * directions).sum(1) / (1 - moved.square().sum(1))).asinh()
    assert torch.allclose(hyperplane_distances(points, directions, offsets).diagonal(), expected)


def _mobius(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    xy, xx, yy = ((a * b).sum(1, keepdim=True) for a, b in ((x, y), (x, x), (y, y)))
    return ((1 + 2 * xy + yy) * x + (1 - xx) * y) / (1 + 2 * xy + xx * yy)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_classes_start_at_the_centres_whatever_the_scale(scale: float) -> None:
    level, z = _ball(scale).eval(), _latents(scale)
    book = level.codebook().detach()
    codes, distances = nearest(z, book)
    lost = (z - level(z).quantized).square().sum()
    assert lost < 1.2 * distances.sum()
    assert (level.encode(z) == codes).float().mean() > 0.6
    points = exponential_map(
        level.offsets[:, None] * torch.nn.functional.normalize(level.directions)
    )
    assert torch.allclose(book, 2 * level.unit * _logarithmic_map(points), rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_ball_trains_steadily_whatever_the_scale(scale: float) -> None:
    torch.manual_seed(0)
    level, z = _ball(scale).train(), _latents(scale)
    optimizer = torch.optim.Adam(level.parameters(), lr=0.01)
    for step in range(150):
        optimizer.zero_grad()
        loss = (level(z).quantized - z).square().sum(1).mean() / scale**2
        loss.backward()
        optimizer.step()
        level.after_step((step + 1) / 150)
        assert loss.isfinite()
    codes = level.eval().encode(z)
    assert len(codes.unique()) > 12
    lost = (z - level.decode(codes)).square().sum() / z.square().sum()
    assert lost < 0.8


def _logarithmic_map(points: torch.Tensor) -> torch.Tensor:
    """Return log₀ of points (n, d) of the ball: artanh ‖x‖ · x/‖x‖."""
    lengths = points.norm(dim=-1, keepdim=True)
    tangents: torch.Tensor = lengths.atanh() * points / lengths
    return tangents
