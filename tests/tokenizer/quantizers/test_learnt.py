import math
from dataclasses import replace

import pytest
import torch
from torch.autograd.functional import jacobian

from tests.tokenizer.quantizers.autograd import gradient
from tokenizer.config import QuantizerConfig
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizers import QUANTIZERS, GritQuantizer, Quantizer
from tokenizer.quantizers.base.clustering import kmeans
from tokenizer.quantizers.base.search import nearest
from tokenizer.quantizers.grit.radius import RADII
from tokenizer.quantizers.learnt.codebook import LearntCodebook
from tokenizer.quantizers.learnt.ema import EmaQuantizer
from tokenizer.quantizers.learnt.wasserstein import (
    WassersteinQuantizer,
    gaussian_wasserstein,
    moments,
)

CONFIG = QuantizerConfig(levels=3, codebook_size=16, rank=2, protocol="frozen")
NOISY = {"diveq", "nsvq"}


def _latents(count: int = 400) -> torch.Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(1)) * 5 + 1


def _level(name: str = "grit", **changes: object) -> Quantizer:
    level = QUANTIZERS[name](replace(CONFIG, **changes), 8)  # type: ignore[arg-type]
    level.start_from(_latents(), torch.Generator().manual_seed(0))
    return level


def _stack() -> ResidualQuantizer:
    stack = ResidualQuantizer([QUANTIZERS["grit"](CONFIG, 8) for _ in range(3)])
    stack.start_from(_latents(), torch.Generator().manual_seed(0))
    return stack


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
@pytest.mark.parametrize("count", [0, 1, 33])
def test_in_eval_mode_an_id_alone_gives_its_vector(name: str, count: int) -> None:
    level = _level(name).eval()
    z = _latents()[:count]
    output = level(z)
    assert torch.equal(output.quantized, level.decode(level.encode(z)))
    assert output.codes.shape == (count,)


@pytest.mark.parametrize("name", sorted(set(QUANTIZERS) - NOISY - {"sf_diveq"}))
def test_training_values_are_codewords(name: str) -> None:
    level = _level(name).train()
    before = level.decode(torch.arange(16))
    output = level(_latents())
    assert torch.allclose(output.quantized, before[output.codes], atol=1e-4)


@pytest.mark.parametrize("name", sorted(NOISY))
def test_noise_stands_at_the_distance_of_the_codeword(name: str) -> None:
    level = _level(name).train()
    z = _latents()
    output = level(z)
    gap = (level.decode(output.codes) - z).norm(dim=1)
    assert torch.allclose((output.quantized - z).norm(dim=1), gap, rtol=1e-4)
    assert not torch.allclose(output.quantized, level.decode(output.codes), atol=1e-4)
    assert output.loss == 0


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_strides_and_precision_do_not_matter(name: str, dtype: torch.dtype) -> None:
    level = _level(name).to(dtype).eval()
    z = _latents().to(dtype)
    output = level(z)
    assert output.quantized.dtype == dtype
    strided = level(z.T.contiguous().T)
    assert torch.equal(strided.codes, output.codes)
    assert torch.equal(output.quantized, level.decode(output.codes))


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
def test_a_stack_of_every_variant_learns_and_is_saved_whole(name: str) -> None:
    """Steps lower the error, and a copy by state gives the same codes and vectors."""
    stack = ResidualQuantizer([QUANTIZERS[name](CONFIG, 8) for _ in range(3)])
    stack.start_from(_latents(), torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    z = torch.nn.Parameter(_latents())
    optimizer = torch.optim.Adam([z, *stack.parameters()], lr=0.02)
    target = _latents().flip(0)
    losses = []
    for step in range(60):
        output = stack.train()(z)
        loss = (output.quantized - target).square().sum(1).mean() + output.loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        stack.after_step((step + 1) / 60)
        losses.append(loss.item())
    assert all(math.isfinite(loss) for loss in losses)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    stack.eval()
    copy = ResidualQuantizer([QUANTIZERS[name](CONFIG, 8) for _ in range(3)])
    copy.load_state_dict(stack.state_dict())
    copy.eval()
    codes = stack.encode(z.detach())
    assert torch.equal(copy.encode(z.detach()), codes)
    assert torch.equal(copy.decode(codes), stack.decode(codes))
    assert torch.allclose(stack(z.detach()).quantized, stack.decode(codes), atol=1e-5)


@pytest.mark.parametrize("name", ["ste", "simvq", "ema"])
def test_searches_see_what_a_step_changed_whatever_grits_refresh(name: str) -> None:
    level = QUANTIZERS[name](QuantizerConfig(name=name, codebook_size=16, refresh_every=4), 8)
    generator = torch.Generator().manual_seed(0)
    z = 3 * torch.randn(200, 8, generator=generator)
    level.start_from(z, generator)
    level.train()(z)
    with torch.no_grad():
        for tensor in (*level.parameters(), *level.buffers()):
            tensor.add_(torch.rand(tensor.shape, generator=generator))
    level.after_step(0.5)
    expected = torch.cdist(z, level.codebook()).argmin(1)
    assert torch.equal(level.encode(z), expected)


def test_straight_through_leaves_the_gradient_as_it_is() -> None:
    for name in ("ste", "ema", "simvq", "kmeans", "wasserstein"):
        z = _latents().requires_grad_()
        weights = torch.randn(400, 8)
        (_level(name, commitment=0.0).train()(z).quantized * weights).sum().backward()
        assert torch.allclose(gradient(z), weights, atol=1e-5), name


def test_the_rotation_turns_gradients_as_it_turns_latents() -> None:
    """The Jacobian is ‖q‖/‖z‖ times an orthogonal matrix that carries ẑ onto q̂."""
    level = _level("rotation").double().train()
    z = _latents()[0].double()
    turned = jacobian(lambda x: level(x[None]).quantized[0], z)
    q = level.decode(level.encode(z[None]))[0]
    ratio = q.norm() / z.norm()
    assert torch.allclose(turned @ turned.T, ratio**2 * torch.eye(8, dtype=torch.float64))
    assert torch.allclose(turned @ z, q)


def test_a_noise_step_is_taken_once_on_the_sum_of_the_levels() -> None:
    """Every level's chosen codewords get the same gradient."""
    for name in sorted(NOISY):
        stack = ResidualQuantizer([QUANTIZERS[name](CONFIG, 8) for _ in range(3)])
        stack.start_from(_latents(), torch.Generator().manual_seed(0))
        z = _latents(1)
        output = stack.train()(z)
        (output.quantized * torch.randn(1, 8)).sum().backward()
        rows = [
            gradient(level.codes_matrix)[output.codes[0, i]]
            for i, level in enumerate(stack.stages)
            if isinstance(level, LearntCodebook)
        ]
        assert len(rows) == 3
        assert rows[0].abs().sum() > 0
        assert torch.allclose(rows[0], rows[1])
        assert torch.allclose(rows[0], rows[2])


def test_moving_averages_follow_and_restarts_reset_their_statistics() -> None:
    level = _level("ema", decay=0.9)
    assert isinstance(level, EmaQuantizer)
    counts, sums = level.counts.clone(), level.sums.clone()
    z = _latents()
    codes = level.train()(z).codes
    hits = torch.bincount(codes, minlength=16)
    assert torch.allclose(level.counts, 0.9 * counts + 0.1 * hits)
    assert torch.allclose(
        level.sums, 0.9 * sums + 0.1 * torch.zeros(16, 8).index_add_(0, codes, z), atol=1e-4
    )
    with torch.no_grad():
        level.sums[3] = 1e6
        level.counts[3] = 0.01
    level(z)
    assert level.counts[3] == 1
    assert (z == level.sums[3]).all(1).any()


def test_the_gaussian_distance_is_that_of_the_formula() -> None:
    """For diagonal covariances W₂² = Σ (μ − μ′)² + Σ (σ − σ′)²; and 0 between equals."""
    torch.manual_seed(0)
    x = torch.randn(200_000, 3, dtype=torch.float64) * torch.tensor([1.0, 2.0, 0.5]) + 1
    y = torch.randn(200_000, 3, dtype=torch.float64) * torch.tensor([0.5, 1.0, 2.0])
    assert gaussian_wasserstein(moments(x), moments(y)).item() == pytest.approx(
        3 + 0.25 + 1 + 2.25, rel=0.02
    )
    assert gaussian_wasserstein(moments(x), moments(x)).item() == pytest.approx(0, abs=1e-5)
    mixed = x @ torch.randn(3, 3, dtype=torch.float64)
    assert gaussian_wasserstein(moments(mixed), moments(mixed)).item() == pytest.approx(0, abs=1e-5)


def test_the_queues_moments_are_kept_as_latents_come_and_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WassersteinQuantizer, "QUEUE", 1000)
    level = _level("wasserstein").train()
    assert isinstance(level, WassersteinQuantizer)
    batches = [torch.randn(300, 8) * (1 + i) + i for i in range(7)]
    for batch in batches:
        mean, covariance = level._follow(batch)
    assert torch.equal(level.queue, torch.cat(batches)[-1000:])
    expected = moments(level.queue)
    assert torch.allclose(mean, expected[0], atol=1e-4)
    assert torch.allclose(covariance, expected[1], atol=1e-3)


def test_wasserstein_pulls_the_codebook_to_the_latents() -> None:
    level = _level("wasserstein", codebook_weight=0.0, commitment=0.0, wasserstein=1.0).train()
    assert isinstance(level, WassersteinQuantizer)
    with torch.no_grad():
        level.codes_matrix.add_(20)
    optimizer = torch.optim.Adam(level.parameters(), lr=0.5)
    losses = []
    for _ in range(100):
        loss = level(_latents()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 * losses[0]
    assert len(level.queue) == 40_000
    assert "queue" not in level.state_dict()


@pytest.mark.parametrize("row_norm", [True, False])
def test_the_codebook_starts_at_the_scale_of_its_latents(row_norm: bool) -> None:
    level = _level(row_norm=row_norm)
    assert isinstance(level, GritQuantizer)
    lengths = level.raw.rows.norm(dim=1)
    if row_norm:
        assert torch.allclose(lengths, torch.ones(16), atol=1e-5)
    assert lengths.square().mean().sqrt() == pytest.approx(1, abs=1e-5)
    lost = nearest(_latents(), level.codebook())[1].mean()
    assert lost < 0.8 * (_latents() - _latents().mean(0)).square().sum(1).mean()


@pytest.mark.parametrize("radius", sorted(RADII))
def test_every_radius_trains_a_level(radius: str) -> None:
    """Gradient steps lower the error whatever the family."""
    level = _level(radius=radius).train()
    z = torch.nn.Parameter(_latents())
    optimizer = torch.optim.Adam([z, *level.parameters()], lr=0.02)
    target = _latents().flip(0)
    losses = []
    for step in range(40):
        optimizer.zero_grad()
        output = level(z)
        loss = (output.quantized - target).square().sum(1).mean() + output.loss
        loss.backward()
        optimizer.step()
        level.after_step((step + 1) / 40)
        losses.append(loss.item())
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.98 * losses[0]


def test_the_frozen_codebook_stays_and_everything_else_learns() -> None:
    level = _level().train()
    assert isinstance(level, GritQuantizer)
    raw, before = level.raw.rows.clone(), level.codebook().detach().clone()
    optimizer = torch.optim.SGD(level.parameters(), lr=0.05)
    weights = torch.randn(400, 8, generator=torch.Generator().manual_seed(3))
    for _ in range(2):  # U starts at 0, so that V moves from the second step on
        optimizer.zero_grad()
        output = level(_latents())
        ((output.quantized * weights).sum(1).mean() + output.loss).backward()
        optimizer.step()
    assert torch.equal(level.raw.rows, raw)
    assert all(gradient(p).abs().sum() > 0 for p in level.parameters())
    assert ((level.codebook() - before).norm(dim=1) > 0).all()


def test_the_encoders_gradient_counts_once_over_all_levels() -> None:
    """Σ out = z − r_{L+1}: with ψ′ = 0 every level hands its input's gradient on, once."""
    stack = ResidualQuantizer(
        [QUANTIZERS["grit"](replace(CONFIG, psi_max=0.0, commitment=0.0), 8) for _ in range(3)]
    )
    stack.start_from(_latents(), torch.Generator().manual_seed(0))
    z = _latents().requires_grad_()
    weights = torch.randn(400, 8)
    (stack.train()(z).quantized * weights).sum().backward()
    assert torch.allclose(gradient(z), weights, atol=1e-5)


def test_the_commitment_is_summed_over_dimensions_and_averaged_over_the_batch() -> None:
    level = _level(commitment=0.5).train()
    z = _latents()
    output = level(z)
    expected = 0.5 * (z - level.decode(output.codes)).square().sum(1).mean()
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_stack_decodes_what_it_encodes_and_each_level_loses_less() -> None:
    stack = _stack().eval()
    z = _latents()
    codes = stack.encode(z)
    assert codes.shape == (400, 3)
    assert torch.equal(stack(z).codes, codes)
    assert torch.allclose(stack(z).quantized, stack.decode(codes), atol=1e-5)
    books = stack.codebooks()
    partial = [sum(books[i, codes[:, i]] for i in range(level)) for level in (1, 2, 3)]
    errors = [(z - part).square().sum().item() for part in partial]
    assert errors == sorted(errors, reverse=True)


def test_kmeans_uses_every_centre_and_repeats_itself() -> None:
    z = torch.cat([_latents(300), _latents(1).repeat(100, 1)])
    first, second = (kmeans(z, 50, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert len(nearest(z, first)[0].unique()) == 50


def test_kmeans_improves_on_its_seeds() -> None:
    z = _latents()
    lost = [
        nearest(z, kmeans(z, 20, torch.Generator().manual_seed(0), iterations))[1].mean().item()
        for iterations in (0, 1, 25)
    ]
    assert lost[0] > 1.1 * lost[1] > 1.1 * lost[2]


@pytest.mark.parametrize("width", [8, 100])
@pytest.mark.parametrize(("count", "times"), [(1, 1), (5, 1), (16, 1), (5, 100)])
def test_kmeans_of_no_more_vectors_than_centres_are_the_vectors(
    width: int, count: int, times: int
) -> None:
    z = torch.randn(count, width, generator=torch.Generator().manual_seed(1)) + 100
    centres = kmeans(z.repeat(times, 1), 16, torch.Generator().manual_seed(0))
    assert centres.shape == (16, width)
    assert torch.equal(centres.unique(dim=0), z.unique(dim=0))
