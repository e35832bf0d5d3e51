"""What each estimator promises, by formula; ordinary tests and the mutations both ask for it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.tokenizer.quantizers.autograd import gradient
from tests.tokenizer.quantizers.stacks import WIDTH, latents, level_of, stack_of
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizers import GritQuantizer
from tokenizer.quantizers.base.search import nearest
from tokenizer.quantizers.grid.fsq import FsqQuantizer
from tokenizer.quantizers.grit.radius import PowerRadius
from tokenizer.quantizers.learnt import wasserstein
from tokenizer.quantizers.learnt.codebook import LearntCodebook
from tokenizer.quantizers.learnt.diveq import DiVeq
from tokenizer.quantizers.learnt.ema import EmaQuantizer
from tokenizer.quantizers.learnt.gumbel import GumbelQuantizer
from tokenizer.quantizers.learnt.simvq import SimVq
from tokenizer.quantizers.learnt.wasserstein import moments

__all__ = ["PROMISES"]


def _weights(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, WIDTH, dtype=torch.float64, generator=generator)


def _chain(stack: ResidualQuantizer, z: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return codes (n, L), and each level's residuals and codewords (n, d) on the greedy path."""
    codes = stack.encode(z)
    residual, residuals, codewords = z, [], []
    for level, column in zip(stack.stages, codes.T, strict=True):
        residuals.append(residual)
        codewords.append(level.decode(column))
        residual = residual - codewords[-1]
    return codes, residuals, codewords


def rqvae_is_rq_vae() -> None:
    """Gradients are those of L(x̂) + Σ_l β‖r_l − sg q_l‖² + ‖sg r_l − q_l‖², and of the sum's loss.

    To z: g + 2β Σ_l (r_l − q_l) / n. To a codeword: 2 (q_l − r_l) / n + 2 (Σ q − z) / n, summed
    over the latents that chose it.
    """
    stack = stack_of("rqvae", commitment=0.25, codebook_weight=1.0, sum_weight=1.0).double()
    z = latents().double().requires_grad_()
    g = _weights(len(z))
    codes, residuals, codewords = _chain(stack, z.detach())
    output = stack.train()(z)
    assert torch.equal(output.codes, codes)
    ((output.quantized * g).sum() + output.loss).backward()
    gaps = [r - q for r, q in zip(residuals, codewords, strict=True)]
    commitments = 2 * 0.25 * torch.stack(gaps).sum(0) / len(z)
    assert torch.allclose(gradient(z), g + commitments)
    for index, level in enumerate(stack.stages):
        assert isinstance(level, LearntCodebook)
        pulls = -2 * (gaps[index] + gaps[-1]) / len(z)
        expected = torch.zeros_like(level.codes_matrix).index_add_(0, codes[:, index], pulls)
        assert torch.allclose(gradient(level.codes_matrix), expected)


def grit_takes_one_step_on_the_sum() -> None:
    """Every level's codeword gets ψ′ (uᵀg) u, and z the rest of g; ψ′ = min(1, α δ^(α−1))."""
    stack = stack_of(
        "grit", transform="none", protocol="joint", gain=False, sum_weight=0.0, commitment=0.0
    ).double()
    z = latents(1).double().requires_grad_()
    g = _weights(1)
    codes, _, codewords = _chain(stack, z.detach())
    (stack.train()(z).quantized * g).sum().backward()
    gap = torch.stack(codewords).sum(0) - z.detach()
    length, direction = float(gap.norm()), normalize(gap, dim=1)
    slope = min(1.0, 0.5 * length**-0.5)
    assert slope < 1
    step = slope * (direction * g).sum() * direction
    assert torch.allclose(gradient(z), g - step, atol=1e-6)
    for level, code in zip(stack.stages, codes[0], strict=True):
        assert isinstance(level, GritQuantizer)
        rows = level.raw.rows
        assert isinstance(rows, torch.nn.Parameter)
        assert torch.allclose(gradient(rows)[code], step[0], atol=1e-6)


def a_slope_is_bounded() -> None:
    """ψ′ of the power radius has no bound at 0; what the backward pass applies has."""
    gaps = torch.eye(WIDTH)[:2] * torch.tensor([[1e-4], [4.0]])
    _, slope = PowerRadius(1.0)(gaps, gaps.norm(dim=1, keepdim=True), torch.zeros(2).long())
    assert torch.allclose(slope.norm(dim=1), torch.tensor([1.0, 0.25]))


def training_values_are_those_of_the_codes() -> None:
    """Output: the sum of all levels' codewords, which is also what an ID decodes to."""
    for name in ("grit", "ste", "ema", "simvq", "gumbel", "rotation", "fsq", "kmeans", "pq"):
        stack, z = stack_of(name), latents()
        books = [level.decode(torch.arange(16)) for level in stack.stages]
        output = stack.train()(z)
        total = torch.stack([book[c] for book, c in zip(books, output.codes.T, strict=True)]).sum(0)
        assert torch.allclose(output.quantized, total, atol=1e-4), name
        assert torch.allclose(stack.eval().decode(output.codes), total, atol=1e-4), name


def diveq_steps_along_the_gap() -> None:
    """Without noise each codeword gets (uᵀg) u, whatever its level, and z the rest of g."""
    stack = stack_of("diveq", noise_variance=0.0, sum_weight=0.0).double()
    z = latents(1).double().requires_grad_()
    g = _weights(1)
    codes, _, codewords = _chain(stack, z.detach())
    (stack.train()(z).quantized * g).sum().backward()
    direction = normalize(torch.stack(codewords).sum(0) - z.detach(), dim=1)
    step = (direction * g).sum() * direction
    assert torch.allclose(gradient(z), g - step)
    for level, code in zip(stack.stages, codes[0], strict=True):
        assert isinstance(level, DiVeq)
        assert torch.allclose(gradient(level.codes_matrix)[code], step[0])


def diveqs_noise_has_its_variance() -> None:
    """Direction: turned by an angle whose tangent, times ‖e‖, has the mean square (d − 1) σ²."""
    level = level_of("diveq", noise_variance=1e-4).train()
    z = torch.randn(20_000, WIDTH, generator=torch.Generator().manual_seed(5)) * 5
    torch.manual_seed(0)
    output = level(z)
    gap, moved = (output.codewords - z).detach(), (output.quantized - z).detach()
    far = gap.norm(dim=1) > 1
    along = (gap * moved).sum(1) / gap.norm(dim=1)
    aside = (moved.square().sum(1) - along.square()).clamp(min=0)
    turned = (aside / along.square() * gap.square().sum(1))[far].mean()
    assert turned.item() == pytest.approx((WIDTH - 1) * 1e-4, rel=0.15)


def the_rotation_carries_z_onto_q() -> None:
    """Jacobian: ‖q‖/‖z‖ times an orthogonal matrix that carries ẑ onto q̂."""
    level, z = level_of("rotation").double().train(), latents(1).double()[0]
    turned = torch.autograd.functional.jacobian(lambda x: level(x[None]).quantized[0], z)
    q = level.decode(level.encode(z[None]))[0]
    ratio = q.norm() / z.norm()
    assert torch.allclose(turned @ turned.T, ratio**2 * torch.eye(WIDTH, dtype=torch.float64))
    assert torch.allclose(turned @ z, q)


def nsvq_puts_noise_at_the_codewords_distance() -> None:
    """Value: at ‖q − z‖ from z, in a direction that has nothing of q − z on average."""
    level, z = level_of("nsvq").train(), latents(4000)
    torch.manual_seed(0)
    output = level(z)
    gap, moved = output.codewords - z, output.quantized - z
    assert torch.allclose(moved.norm(dim=1), gap.norm(dim=1), rtol=1e-4)
    assert torch.cosine_similarity(gap, moved).mean().abs() < 0.05


def simvq_codes_are_transformed() -> None:
    """Codeword: c W. Gradient of W by the codebook loss: Σ cᵀ · 2 (c W − z) / n."""
    level, z = level_of("simvq", commitment=0.0, codebook_weight=1.0).double(), latents().double()
    assert isinstance(level, SimVq)
    with torch.no_grad():
        level.w.add_(0.1 * _weights(WIDTH))
    level.forget_searched()
    codes = level.encode(z)
    assert torch.allclose(level.decode(codes), level.raw[codes] @ level.w)
    level.train()(z).loss.backward()
    rows = level.raw[codes]
    expected = rows.T @ (2 * (rows @ level.w.detach() - z)) / len(z)
    assert torch.allclose(gradient(level.w), expected)


def the_linear_transform_mixes_and_turns() -> None:
    """C̃ = (I + U Vᵀ) C W; with S the rows' gradients, ∂W = (M C)ᵀ S and ∂U = S Wᵀ Cᵀ V."""
    level = level_of("grit", transform="linear", rank=3, protocol="frozen", gain=False).double()
    assert isinstance(level, GritQuantizer)
    transform, rows = level.transform, level.raw.rows
    u, v, w = (getattr(transform, name) for name in "uvw")
    with torch.no_grad():
        for part in (u, v, w):
            part.add_(0.1 * torch.randn(part.shape, generator=torch.Generator().manual_seed(4)))
    mixed = rows + u.detach() @ (v.detach().T @ rows)
    s = _weights(16)
    (transform(rows) * s).sum().backward()
    assert torch.allclose(transform(rows), mixed @ w)
    assert torch.allclose(gradient(w), mixed.T @ s)
    assert torch.allclose(gradient(u), s @ w.detach().T @ rows.T @ v.detach())


def gumbel_hands_back_the_softmaxs_gradient() -> None:
    """In a stack z gets Σ_l of what the levels' softmaxes of their hard residuals hand back."""
    stack = stack_of("gumbel", commitment=0.0, sum_weight=0.0).double().train()
    z = latents(50).double().requires_grad_()
    g = _weights(50)
    torch.manual_seed(0)
    (stack(z).quantized * g).sum().backward()
    torch.manual_seed(0)
    residual, expected = z.detach(), torch.zeros_like(g)
    for level in stack.stages:
        assert isinstance(level, GumbelQuantizer)
        own = residual.clone().requires_grad_()
        book = level.codes_matrix.detach()
        logits = level.logits(own, book)
        drawn = torch.rand_like(logits).clamp(min=1e-20)
        scores = logits - (-drawn.log()).log()
        ((scores.softmax(1) @ book) * g).sum().backward()
        expected += gradient(own)
        residual = residual - book[scores.argmax(1)]
    assert expected.abs().sum() > 0
    assert torch.allclose(gradient(z), expected)


def grids_hand_back_the_gradient_of_tanh() -> None:
    """In a stack z gets Σ_l (g upᵀ ⊙ (1 − tanh²)) down, of each level's hard residual."""
    stack = stack_of("fsq").double().train()
    z = latents().double().requires_grad_()
    g = _weights(len(z))
    _, residuals, _ = _chain(stack, z.detach())
    (stack(z).quantized * g).sum().backward()
    expected = torch.zeros_like(g)
    for level, residual in zip(stack.stages, residuals, strict=True):
        assert isinstance(level, FsqQuantizer)
        slope = 1 - level.channels(residual).tanh().square()
        expected += ((g @ level.up.T * slope) @ level.down).detach()
    assert torch.allclose(gradient(z), expected)


def averages_follow_their_latents() -> None:
    """In units of even use: counts ← ρ counts + (1 − ρ) hits · K / n, sums alike."""
    level, z = level_of("ema", decay=0.9), latents()
    assert isinstance(level, EmaQuantizer)
    counts, sums = level.counts.clone(), level.sums.clone()
    codes = level.train()(z).codes
    even = len(z) / 16
    hits = torch.bincount(codes, minlength=16) / even
    totals = torch.zeros(16, WIDTH).index_add_(0, codes, z) / even
    assert torch.allclose(level.counts, 0.9 * counts + 0.1 * hits)
    assert torch.allclose(level.sums, 0.9 * sums + 0.1 * totals, atol=1e-4)


def a_dead_average_starts_anew() -> None:
    """Codewords that no latent chooses are put on one, and their statistics with them."""
    level, z = level_of("ema", decay=0.9), latents()
    assert isinstance(level, EmaQuantizer)
    with torch.no_grad():
        level.sums[3] = 1e6
    for _ in range(40):
        level.train()(z)
        level.after_step(0.5)
    assert (z - level.codebook()[3]).norm(dim=1).min() < 5
    assert len(level.encode(z).unique()) == 16


def wasserstein_is_the_distance_of_gaussians() -> None:
    """For diagonal covariances W₂² = Σ (μ − μ′)² + Σ (σ − σ′)²; and 0 between equals."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 20_000, 3, dtype=torch.float64, generator=generator)
    x, y = noise * torch.tensor([[[1.0, 2.0, 0.5]], [[0.5, 1.0, 2.0]]])
    expected = 3 + 0.25 + 1 + 2.25
    found = wasserstein.gaussian_wasserstein(moments(x + 1), moments(y)).item()
    assert found == pytest.approx(expected, rel=0.05)
    mixed = x @ torch.randn(3, 3, dtype=torch.float64, generator=generator)
    assert wasserstein.gaussian_wasserstein(moments(mixed), moments(mixed)).item() == pytest.approx(
        0, abs=1e-5
    )


def codebooks_start_at_the_centres_of_their_latents() -> None:
    """K-means leaves less than half of what as many latents drawn at random leave."""
    z = torch.randn(16, WIDTH, generator=torch.Generator().manual_seed(7)).repeat(50, 1) * 5
    z = z + 0.1 * torch.randn(z.shape, generator=torch.Generator().manual_seed(8))
    for name in ("grit", "ste", "diveq", "simvq", "ema", "kmeans"):
        level = level_of(name)
        level.start_from(z, torch.Generator().manual_seed(0))
        lost = nearest(z, level.codebook().detach())[1].mean()
        assert lost < 0.5, name


PROMISES: dict[str, Callable[[], None]] = {
    promise.__name__: promise
    for promise in (
        rqvae_is_rq_vae,
        grit_takes_one_step_on_the_sum,
        a_slope_is_bounded,
        training_values_are_those_of_the_codes,
        diveq_steps_along_the_gap,
        diveqs_noise_has_its_variance,
        the_rotation_carries_z_onto_q,
        nsvq_puts_noise_at_the_codewords_distance,
        simvq_codes_are_transformed,
        the_linear_transform_mixes_and_turns,
        gumbel_hands_back_the_softmaxs_gradient,
        grids_hand_back_the_gradient_of_tanh,
        averages_follow_their_latents,
        a_dead_average_starts_anew,
        wasserstein_is_the_distance_of_gaussians,
        codebooks_start_at_the_centres_of_their_latents,
    )
}
