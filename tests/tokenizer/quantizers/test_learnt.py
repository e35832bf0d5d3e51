import math

import pytest
import torch

from tests.tokenizer.quantizers.autograd import gradient
from tests.tokenizer.quantizers.stacks import config_of, latents, level_of, stack_of
from tokenizer.quantizer_config import CONFIGS, EmaConfig, SummedConfig
from tokenizer.quantizers import QUANTIZERS, GritQuantizer
from tokenizer.quantizers.base.clustering import kmeans
from tokenizer.quantizers.base.search import nearest
from tokenizer.quantizers.grit.radius import RADII
from tokenizer.quantizers.learnt.ema import EmaQuantizer
from tokenizer.quantizers.learnt.wasserstein import (
    WassersteinQuantizer,
    moments,
)

NOISY = {"diveq", "nsvq"}


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
@pytest.mark.parametrize("count", [0, 1, 33])
def test_in_eval_mode_an_id_alone_gives_its_vector(name: str, count: int) -> None:
    level = level_of(name).eval()
    z = latents()[:count]
    output = level(z)
    assert torch.equal(output.quantized, level.decode(level.encode(z)))
    assert output.codes.shape == (count,)


@pytest.mark.parametrize("name", sorted(set(QUANTIZERS) - NOISY - {"sf_diveq"}))
def test_training_values_are_codewords(name: str) -> None:
    level = level_of(name).train()
    before = level.decode(torch.arange(16))
    output = level(latents())
    assert torch.allclose(output.quantized, before[output.codes], atol=1e-4)


@pytest.mark.parametrize("name", sorted(NOISY))
def test_noise_stands_at_the_distance_of_the_codeword(name: str) -> None:
    level = level_of(name).train()
    z = latents()
    output = level(z)
    gap = (level.decode(output.codes) - z).norm(dim=1)
    assert torch.allclose((output.quantized - z).norm(dim=1), gap, rtol=1e-4)
    assert not torch.allclose(output.quantized, level.decode(output.codes), atol=1e-4)
    assert output.loss == 0


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_strides_and_precision_do_not_matter(name: str, dtype: torch.dtype) -> None:
    level = level_of(name).to(dtype).eval()
    z = latents().to(dtype)
    output = level(z)
    assert output.quantized.dtype == dtype
    strided = level(z.T.contiguous().T)
    assert torch.equal(strided.codes, output.codes)
    assert torch.equal(output.quantized, level.decode(output.codes))


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
def test_a_stack_of_every_variant_learns_and_is_saved_whole(name: str) -> None:
    """Steps lower the error, and a copy by state gives the same codes and vectors."""
    stack = stack_of(name)
    torch.manual_seed(0)
    z = torch.nn.Parameter(latents())
    optimizer = torch.optim.Adam([z, *stack.parameters()], lr=0.02)
    target = latents().flip(0)
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
    copy = stack_of(name)
    copy.load_state_dict(stack.state_dict())
    copy.eval()
    codes = stack.encode(z.detach())
    assert torch.equal(copy.encode(z.detach()), codes)
    assert torch.equal(copy.decode(codes), stack.decode(codes))
    assert torch.allclose(stack(z.detach()).quantized, stack.decode(codes), atol=1e-5)


@pytest.mark.parametrize("name", ["ste", "simvq", "ema"])
def test_searches_see_what_a_step_changed(name: str) -> None:
    level = QUANTIZERS[name](config_of(name), 8)
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
        z = latents().requires_grad_()
        weights = torch.randn(400, 8)
        (level_of(name, commitment=0.0).train()(z).quantized * weights).sum().backward()
        assert torch.allclose(gradient(z), weights, atol=1e-5), name


def test_evenly_used_averages_are_not_restarted_however_large_the_codebook() -> None:
    """Each of 2,048 codewords is chosen once in 32 batches of 64: none is dead."""
    level = EmaQuantizer(EmaConfig("ema", codebook_size=2048), 8)
    codewords = 5 * torch.randn(2048, 8, generator=torch.Generator().manual_seed(0))
    level.set_codewords(codewords)
    level.train()
    for step in range(320):
        chosen = torch.arange(64) + 64 * (step % 32)
        level(codewords[chosen])
        level.after_step(0.5)
    assert torch.allclose(level.codebook(), codewords, atol=1e-3)


def test_a_restart_takes_a_latent_with_fresh_statistics() -> None:
    level = level_of("ema", decay=0.9).train()
    assert isinstance(level, EmaQuantizer)
    with torch.no_grad():
        level.sums[3] = 1e6
        level.counts[3] = 0.01
    level(latents())
    assert level.counts[3] == 1
    assert (latents() == level.sums[3]).all(1).any()


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
def test_the_pull_of_the_sum_is_alike_for_all_whose_codewords_learn(name: str) -> None:
    """One weight adds ‖z − Σ q‖² to the loss of each of them, and nothing to that of others."""
    learns = issubclass(CONFIGS[name], SummedConfig)
    free = {"grit", "diveq", "gumbel", "hypervq", "nsvq", "rotation", "rqvae", "sf_diveq", "simvq",
            "ste", "wasserstein"}  # fmt: skip
    assert learns == (name in free)
    level = level_of(name)
    z, total = latents(), latents() + torch.arange(8)
    pull = level.auxiliary_of_sum(z, total).item()
    assert pull == pytest.approx(140 if learns else 0)


def test_the_queues_moments_are_kept_as_latents_come_and_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WassersteinQuantizer, "QUEUE", 1000)
    level = level_of("wasserstein").train()
    assert isinstance(level, WassersteinQuantizer)
    batches = [torch.randn(300, 8) * (1 + i) + i for i in range(7)]
    for batch in batches:
        mean, covariance = level._follow(batch)
    assert torch.equal(level.queue, torch.cat(batches)[-1000:])
    expected = moments(level.queue)
    assert torch.allclose(mean, expected[0], atol=1e-4)
    assert torch.allclose(covariance, expected[1], atol=1e-3)


def test_wasserstein_pulls_the_codebook_to_thelatents() -> None:
    level = level_of("wasserstein", codebook_weight=0.0, commitment=0.0, wasserstein=1.0).train()
    assert isinstance(level, WassersteinQuantizer)
    with torch.no_grad():
        level.codes_matrix.add_(20)
    optimizer = torch.optim.Adam(level.parameters(), lr=0.5)
    losses = []
    for _ in range(100):
        loss = level(latents()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 * losses[0]
    assert len(level.queue) == 40_000
    assert "queue" not in level.state_dict()


@pytest.mark.parametrize("row_norm", [True, False])
def test_the_codebook_starts_at_the_scale_of_itslatents(row_norm: bool) -> None:
    level = level_of("grit", protocol="frozen", row_norm=row_norm)
    assert isinstance(level, GritQuantizer)
    lengths = level.raw.rows.norm(dim=1)
    if row_norm:
        assert torch.allclose(lengths, torch.ones(16), atol=1e-5)
    assert lengths.square().mean().sqrt() == pytest.approx(1, abs=1e-5)
    lost = nearest(latents(), level.codebook())[1].mean()
    assert lost < 0.8 * (latents() - latents().mean(0)).square().sum(1).mean()


@pytest.mark.parametrize("radius", sorted(RADII))
def test_every_radius_trains_alevel_of(radius: str) -> None:
    """Gradient steps lower the error whatever the family."""
    level = level_of("grit", protocol="frozen", radius=radius).train()
    z = torch.nn.Parameter(latents())
    optimizer = torch.optim.Adam([z, *level.parameters()], lr=0.02)
    target = latents().flip(0)
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
    level = level_of("grit", protocol="frozen").train()
    assert isinstance(level, GritQuantizer)
    raw, before = level.raw.rows.clone(), level.codebook().detach().clone()
    optimizer = torch.optim.SGD(level.parameters(), lr=0.05)
    weights = torch.randn(400, 8, generator=torch.Generator().manual_seed(3))
    for _ in range(2):  # U starts at 0, so that V moves from the second step on
        optimizer.zero_grad()
        output = level(latents())
        ((output.quantized * weights).sum(1).mean() + output.loss).backward()
        optimizer.step()
    assert torch.equal(level.raw.rows, raw)
    assert all(gradient(p).abs().sum() > 0 for p in level.parameters())
    assert ((level.codebook() - before).norm(dim=1) > 0).all()


def test_the_commitment_is_summed_over_dimensions_and_averaged_over_the_batch() -> None:
    level = level_of("grit", protocol="frozen", commitment=0.5).train()
    z = latents()
    output = level(z)
    expected = 0.5 * (z - level.decode(output.codes)).square().sum(1).mean()
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_stack_decodes_what_it_encodes_and_each_level_loses_less() -> None:
    stack = stack_of("grit").eval()
    z = latents()
    codes = stack.encode(z)
    assert codes.shape == (400, 3)
    assert torch.equal(stack(z).codes, codes)
    assert torch.allclose(stack(z).quantized, stack.decode(codes), atol=1e-5)
    books = stack.codebooks()
    partial = [sum(books[i, codes[:, i]] for i in range(level)) for level in (1, 2, 3)]
    errors = [(z - part).square().sum().item() for part in partial]
    assert errors == sorted(errors, reverse=True)


def test_kmeans_uses_every_centre_and_repeats_itself() -> None:
    z = torch.cat([latents(300), latents(1).repeat(100, 1)])
    first, second = (kmeans(z, 50, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert len(nearest(z, first)[0].unique()) == 50


def test_kmeans_improves_on_its_seeds() -> None:
    z = latents()
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
