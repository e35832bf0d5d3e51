import math
from dataclasses import replace

import pytest
import torch

from tests.tokenizer.autograd import gradient
from tokenizer.config import QuantizerConfig
from tokenizer.kmeans import kmeans, nearest
from tokenizer.quantizers import QUANTIZERS, GritQuantizer, Quantizer
from tokenizer.radius import RADII
from tokenizer.residual import ResidualQuantizer

CONFIG = QuantizerConfig(levels=3, codebook_size=16, rank=2)


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


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
def test_training_values_are_codewords_and_strides_do_not_matter(name: str) -> None:
    level = _level(name).train()
    z = _latents()
    output = level(z)
    assert torch.allclose(output.quantized, level.decode(output.codes), atol=1e-4)
    strided = z.T.contiguous().T
    assert torch.equal(level(strided).codes, output.codes)


@pytest.mark.parametrize("row_norm", [True, False])
def test_the_codebook_starts_at_the_scale_of_its_latents(row_norm: bool) -> None:
    level = _level(row_norm=row_norm)
    assert isinstance(level, GritQuantizer)
    lengths = level.raw.norm(dim=1)
    if row_norm:
        assert torch.allclose(lengths, torch.ones(16), atol=1e-5)
    assert lengths.square().mean().sqrt() == pytest.approx(1, abs=1e-5)
    lost = nearest(_latents(), level.codebook())[1].mean()
    assert lost < 0.8 * (_latents() - _latents().mean(0)).square().sum(1).mean()


@pytest.mark.parametrize("radius", sorted(RADII))
def test_every_radius_trains_a_level(radius: str) -> None:
    """Gradient steps bring codewords and latents together, at any scale of the latents."""
    level = _level(radius=radius).train()
    z = torch.nn.Parameter(_latents())
    optimizer = torch.optim.SGD([z, *level.parameters()], lr=0.02)
    target = _latents() + 0.5
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
    assert losses[-1] < losses[0]


def test_the_frozen_codebook_stays_and_everything_else_learns() -> None:
    level = _level().train()
    assert isinstance(level, GritQuantizer)
    raw, before = level.raw.clone(), level.codebook().detach().clone()
    optimizer = torch.optim.SGD(level.parameters(), lr=0.05)
    weights = torch.randn(400, 8, generator=torch.Generator().manual_seed(3))
    for _ in range(2):  # U starts at 0, so that V moves from the second step on
        optimizer.zero_grad()
        output = level(_latents())
        ((output.quantized * weights).sum(1).mean() + output.loss).backward()
        optimizer.step()
    assert torch.equal(level.raw, raw)
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


def test_kmeans_with_fewer_vectors_than_centres_loses_nothing() -> None:
    z = _latents(5)
    centres = kmeans(z, 16, torch.Generator().manual_seed(0))
    assert centres.shape == (16, 8)
    assert nearest(z, centres)[1].max() < 1e-3
