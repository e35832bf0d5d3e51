"""GRIT-VQ's protocols, feeds, gauges and caches."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from data_prep.errors import InputError
from tests.tokenizer.quantizers.autograd import gradient
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizer_config import GritConfig
from tokenizer.quantizers import GritQuantizer, check_config
from tokenizer.quantizers.grit.codebook import EmaJointCodebook, JointCodebook
from tokenizer.quantizers.grit.radius import RADII

CONFIG = GritConfig(
    levels=3, codebook_size=16, rank=2, protocol="frozen", sum_weight=0.0, reset_below=0.0
)
JOINT = ("joint", "joint_ema")


def _latents(count: int = 400) -> Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(1)) * 5 + 1


def _level(**changes: object) -> GritQuantizer:
    torch.manual_seed(0)
    level = GritQuantizer(replace(CONFIG, **changes), 8)  # type: ignore[arg-type]
    level.start_from(_latents(), torch.Generator().manual_seed(0))
    return level.train()


def _stack(**changes: object) -> ResidualQuantizer:
    config = replace(CONFIG, **changes)  # type: ignore[arg-type]
    stack = ResidualQuantizer([GritQuantizer(config, 8) for _ in range(3)])
    stack.start_from(_latents(), torch.Generator().manual_seed(0))
    return stack


@pytest.mark.parametrize("radius", ["euclidean", "power", "huber"])
def test_both_feeds_give_equal_gradients_and_different_values(radius: str) -> None:
    """The Jacobians are those of z̃ under either feed, for z and for every parameter."""
    weights = torch.randn(400, 8, generator=torch.Generator().manual_seed(2))
    found = []
    for feed in ("hard", "surrogate"):
        level, z = _level(feed=feed, radius=radius), _latents().requires_grad_()
        output = level(z)
        (output.quantized * weights).sum().backward()
        found.append((output, gradient(z), [p.grad for p in level.parameters()]))
    (hard, by_hard, learnt), (soft, by_soft, learnt_too) = found
    assert torch.equal(hard.codes, soft.codes)
    assert torch.allclose(by_hard, by_soft, atol=1e-5)
    for a, b in zip(learnt, learnt_too, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-3)  # type: ignore[arg-type]
    same = torch.allclose(hard.quantized, soft.quantized, atol=1e-3)
    assert same == (radius == "euclidean")


def test_levels_see_under_the_surrogate_feed_what_they_see_when_frozen() -> None:
    stack = _stack(feed="surrogate")
    z = _latents()
    trained = stack.train()(z).codes
    assert torch.equal(trained, stack.eval().encode(z))


def test_an_early_reuse_of_the_searched_codebook_leaves_live_rows() -> None:
    """Between refreshes the search is stale; the rows that the surrogate moves to are not."""
    level = _level(refresh_every=3)
    stale = level.searched().clone()
    for step in (1, 2):
        with torch.no_grad():
            level.raw_gain.add_(0.01)
        assert level.after_step(0.1)["refresh"] == 0
        assert torch.equal(level.searched(), stale), step
        codes = torch.arange(16)
        assert torch.allclose(level.codewords(codes), level.codebook())
        assert not torch.allclose(level.codewords(codes), stale)
    level.after_step(0.1)
    assert torch.allclose(level.searched(), level.codebook())


def test_a_drift_refreshes_early() -> None:
    level = _level(refresh_every=1000)
    level.searched()
    with torch.no_grad():
        level.raw_gain.mul_(2)
    assert level.after_step(0.1)["refresh"] == 1
    assert torch.allclose(level.searched(), level.codebook())


@pytest.mark.parametrize("protocol", JOINT)
def test_joint_codebooks_learn_and_frozen_ones_stay(protocol: str) -> None:
    for name in ("frozen", protocol):
        level = _level(protocol=name, row_norm=False)
        before = level.raw.rows.detach().clone()
        optimizer = torch.optim.SGD([p for p in level.parameters() if p.requires_grad], lr=0.05)
        for _ in range(8):
            optimizer.zero_grad()
            output = level(_latents())
            (output.quantized.square().sum(1).mean() + output.loss).backward()
            optimizer.step()
            level.after_step(0.5)
        assert torch.equal(level.raw.rows, before) == (name == "frozen")


@pytest.mark.parametrize("protocol", JOINT)
def test_a_dead_codeword_is_put_on_a_latent_with_its_statistics(protocol: str) -> None:
    level = _level(protocol=protocol, reset_below=0.05, row_norm=False)
    assert isinstance(level.raw, JointCodebook)
    with torch.no_grad():
        level.raw.rows[3] = 100.0
    for _ in range(400):
        level(_latents())
        acted = level.after_step(0.5)["reset"]
        if acted:
            break
    assert acted == 1
    gaps = (_latents() - level.codebook()[3]).norm(dim=1)
    assert gaps.min() < 0.05
    assert level.raw.use[3] == 1
    if isinstance(level.raw, EmaJointCodebook):
        assert level.raw.counts[3] == 1
        assert torch.allclose(level.raw.sums[3], _latents()[gaps.argmin()])


def test_averages_draw_the_transformed_codewords_to_the_means_of_their_latents() -> None:
    level = _level(protocol="joint_ema", row_norm=False, decay=0.5)
    with torch.no_grad():
        level.transform.w.add_(0.1 * torch.randn(8, 8))  # type: ignore[operator]
    z = _latents()
    for _ in range(200):
        codes = level(z).codes
        level.after_step(0.5)
    means = torch.stack([z[codes == code].mean(0) for code in codes.unique()])
    assert torch.allclose(level.codebook()[codes.unique()], means, atol=0.05)


def test_the_usage_regulariser_is_the_divergence_from_uniform() -> None:
    """0 where all codewords are equally near; up to log K units where all use one."""
    level = _level(protocol="joint", usage_weight=1.0, commitment=0.0, row_norm=False)
    with torch.no_grad():
        level.raw.rows.copy_(torch.randn_like(level.raw.rows[:1]).expand(16, 8))
    assert level(_latents()).loss.item() == pytest.approx(0, abs=1e-3)
    with torch.no_grad():
        level.raw.rows[1:] = 1e3
    z = _latents()
    unit = (z - level.searched()[0]).square().sum(1).mean()
    assert level(z).loss.item() == pytest.approx(
        float(unit) * torch.tensor(16.0).log().item(), rel=0.01
    )


@pytest.mark.parametrize("protocol", ["frozen", *JOINT])
def test_gauges_hold_after_steps(protocol: str) -> None:
    level = _level(protocol=protocol, row_norm=True, codeword_norm=True)
    optimizer = torch.optim.Adam([p for p in level.parameters() if p.requires_grad], lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        output = level(_latents())
        (output.quantized.sum() + output.loss).backward()
        optimizer.step()
        level.after_step(0.5)
    assert torch.allclose(level.raw.rows.norm(dim=1), torch.ones(16), atol=1e-5)
    lengths = level.searched().norm(dim=1)
    assert torch.allclose(lengths, level.gain.expand(16), rtol=1e-5)


def test_without_gain_the_scale_stays_one() -> None:
    level = _level(gain=False, row_norm=False, levels=1)
    assert float(level.gain) == pytest.approx(1)
    assert not level.raw_gain.requires_grad
    length = level.searched().norm(dim=1).square().mean().sqrt()
    with_gain = _level(row_norm=False).searched().norm(dim=1).square().mean().sqrt()
    assert float(length) == pytest.approx(float(with_gain), rel=1e-5)


def test_a_random_start_has_the_latents_length() -> None:
    level = _level(start="random")
    expected = _latents().square().sum(1).mean().sqrt()
    length = level.searched().norm(dim=1).square().mean().sqrt()
    assert float(length) == pytest.approx(float(expected), rel=0.3)
    assert torch.equal(_level(start="random").searched(), level.searched())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank": 17}, "rank 17 is outside 1…16"),
        ({"top_k": 17}, "top_k 17 is outside 1…16"),
        ({"gain": False, "row_norm": True}, "without gain"),
        ({"refresh_every": 0}, "refresh_every 0 is below 1"),
        ({"search_beam": 0}, "search_beam 0 is below 1"),
        ({"transform": "atention"}, "did you mean 'attention'"),
        ({"protocol": "joined"}, "known are frozen, joint, joint_ema"),
        ({"feed": "soft"}, "known are hard, surrogate"),
        ({"start": "zero"}, "known are kmeans, random"),
        ({"psi_max": 2.0}, "psi_max 2.0"),
    ],
)
def test_impossible_configurations_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_config(replace(CONFIG, **({"top_k": 8} | changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize("radius", sorted(RADII))
def test_a_level_with_nothing_left_to_code_has_finite_gradients(radius: str) -> None:
    """Of two items the first level codes all; what the others get is rounding."""
    level = GritQuantizer(replace(CONFIG, radius=radius), 8).train()
    level.start_from(torch.zeros(2, 8), torch.Generator().manual_seed(0))
    z = (1e-7 * _latents(2)).requires_grad_()
    codes = torch.tensor([0, 1])
    q = level.codewords(codes)
    (level.estimate(z, q, codes).square().sum() + level.auxiliary(z, q, codes)).backward()
    for name, parameter in level.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
