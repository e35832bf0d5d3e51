"""The surrogate's identities by autograd in float64: Jacobians, eigenvalues, gradients, clamps."""

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from tests.tokenizer.quantizers.autograd import gradient
from tokenizer.quantizers.grit.level import surrogate
from tokenizer.quantizers.grit.radius import RADII, PowerRadius, RadialRadius, Radius

UNIT = torch.ones((), dtype=torch.float64)
CODES = torch.zeros(1, dtype=torch.long)
GAPS = (1e-3, 0.3, 1.2, 7.0)
NAMES = sorted(RADII)
RADIAL = [name for name in NAMES if issubclass(RADII[name], RadialRadius)]
D = 5


def _radius(name: str, psi_max: float = 1.0) -> Radius:
    """Return a family in eval mode, away from its start where it has a direction of its own."""
    torch.manual_seed(1)
    radius = RADII[name](psi_max, 1, D).double().eval()
    if name == "mahalanobis":
        radius.raw_precision.data.normal_()  # type: ignore[union-attr,operator]
    if name == "adaptive_mahalanobis":
        radius.squares.uniform_(0.2, 3)  # type: ignore[union-attr,operator]
    return radius


def _pair(gap: float) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    u = torch.nn.functional.normalize(torch.randn(D, dtype=torch.float64), dim=0)
    z = torch.randn(D, dtype=torch.float64)
    return z, z + gap * u, u


def _move(z: Tensor, q: Tensor, radius: Radius, unit: Tensor = UNIT) -> Tensor:
    return surrogate(z[None], q[None], CODES, radius, unit)[0]


def _bounded_slope(radius: Radius, gap: Tensor) -> Tensor:
    """∂r/∂e by autograd of the value itself, then scaled into the bound."""
    slope: Tensor = jacobian(lambda e: radius.value(e[None], CODES)[0], gap)
    return slope * min(1.0, radius.psi_max / max(float(slope.norm()), 1e-12))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("psi_max", [0.7, 1.0])
def test_jacobians_and_eigenvalues(name: str, gap: float, psi_max: float) -> None:
    """∂z̃/∂z = I − u sᵀ with eigenvalues 1 (d−1 times) and 1 − sᵀu; ∂z̃/∂q = u sᵀ."""
    radius = _radius(name, psi_max)
    z, q, u = _pair(gap)
    slope = _bounded_slope(radius, q - z)
    assert float(slope.norm()) <= psi_max + 1e-9
    along = float(slope @ u)
    assert -1e-12 <= along <= psi_max + 1e-9
    by_z = jacobian(lambda x: _move(x, q, radius), z)
    by_q = jacobian(lambda x: _move(z, x, radius), q)
    outer = torch.outer(u, slope)
    assert torch.allclose(by_z, torch.eye(D, dtype=torch.float64) - outer, atol=1e-7)
    assert torch.allclose(by_q, outer, atol=1e-7)
    eigenvalues = torch.linalg.eigvals(by_z).real.sort().values
    expected = torch.tensor([1 - along, 1, 1, 1, 1], dtype=torch.float64)
    assert torch.allclose(eigenvalues, expected, atol=1e-6)
    if name in RADIAL:
        assert torch.allclose(slope, along * u, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_only_radial_families_never_expand(name: str) -> None:
    """‖I − u sᵀ‖ = (‖s‖ + √(‖s‖² + 4 (1 − sᵀu))) / 2: 1 where s is along u, at most 1.62."""
    radius = _radius(name)
    largest = 0.0
    for seed in range(20):
        torch.manual_seed(seed)
        z = torch.randn(D, dtype=torch.float64)
        e = torch.randn(D, dtype=torch.float64) * torch.logspace(-1, 1, D, dtype=torch.float64)
        q = z + e
        slope, u = _bounded_slope(radius, e), torch.nn.functional.normalize(e, dim=0)
        by_z = jacobian(lambda x, q=q: _move(x, q, radius), z)
        norm = float(torch.linalg.matrix_norm(by_z, ord=2))
        length = float(slope.norm())
        expected = (length + (length**2 + 4 * (1 - float(slope @ u))) ** 0.5) / 2
        assert norm == pytest.approx(expected, rel=1e-6)
        largest = max(largest, norm)
    assert largest == pytest.approx(1) if name in RADIAL else 1 < largest < 1.6181


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gap", [0.0, 1e-300, 1e-160, 1e6])
def test_values_and_gradients_are_finite_at_the_ends(name: str, gap: float) -> None:
    radius = _radius(name)
    z, q, _ = _pair(1.0)
    q = torch.where(torch.tensor(gap > 0), z + gap * (q - z), z)
    z.requires_grad_()
    q.requires_grad_()
    out = _move(z, q, radius)
    assert out.isfinite().all()
    out.sum().backward()
    every = [z, q, *radius.parameters()]
    assert all(tensor.grad is None or tensor.grad.isfinite().all() for tensor in every)
    if gap == 0:
        assert torch.equal(out, q)
        assert torch.equal(gradient(z), torch.ones_like(z))
        assert torch.equal(gradient(q), torch.zeros_like(q))
        assert radius.value(torch.zeros(1, D, dtype=torch.float64), CODES).item() == 0


@pytest.mark.parametrize("name", NAMES)
def test_parameters_learn_by_the_familys_own_formula(name: str) -> None:
    """The bound is on the gap's gradient alone: parameters get that of the value."""
    radius = _radius(name, psi_max=0.1)
    z, q, u = _pair(1.7)
    g = torch.randn(D, dtype=torch.float64)
    value, _ = radius((q - z)[None], (q - z)[None].norm(dim=1, keepdim=True), CODES)
    moved = z + value * u
    names = [key for key, _ in radius.named_parameters()]
    got = torch.autograd.grad(moved @ g, list(radius.parameters())) if names else ()
    value = radius.value((q - z)[None], CODES)[0] * (u @ g)
    wanted = torch.autograd.grad(value, list(radius.parameters())) if names else ()
    for key, a, b in zip(names, got, wanted, strict=True):
        assert torch.allclose(a, b), key
        assert a.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_one_step_changes_the_gap_as_predicted(name: str) -> None:
    """Steps of −η on both ends change u·e by η (1 − 2 sᵀu) uᵀg to first order, s radial."""
    rate = 1e-6
    radius = _radius(name)
    z, q, u = _pair(0.8)
    slope = _bounded_slope(radius, q - z)
    z.requires_grad_()
    q.requires_grad_()
    g = torch.randn(D, dtype=torch.float64)
    (_move(z, q, radius) @ g).backward()
    ends = (q - rate * gradient(q)) - (z - rate * gradient(z))
    change = float(u @ ends.detach()) - 0.8
    predicted = rate * (1 - 2 * float(slope @ u)) * float(u @ g)
    assert change == pytest.approx(predicted, rel=1e-3, abs=1e-13)


def test_profiles_are_those_of_the_paper() -> None:
    """Values of App. A at δ = 2, with τ = κ = 1, α = 0.5, τ = 10 for the annealed family."""
    length = torch.tensor([2.0], dtype=torch.float64)
    expected = {
        "euclidean": 2.0,
        "clipped": 1.0,
        "power": 2**0.5,
        "huber": 1.5,
        "soft_clip": 0.9640275800758169,
        "pseudo_huber": 5**0.5 - 1,
        "annealed": 1.8232155679395459,
    }
    assert sorted(expected) == RADIAL
    for name, value in expected.items():
        radius = _radius(name)
        assert isinstance(radius, RadialRadius)
        assert radius.profile(length).item() == pytest.approx(value, rel=1e-6), name
    assert PowerRadius().alpha.item() == pytest.approx(0.5, abs=1e-6)


def test_the_annealed_length_falls_with_progress() -> None:
    radius = _radius("annealed")
    radius.anneal(0.0)
    assert radius.temperature.item() == pytest.approx(10)  # type: ignore[operator]
    radius.anneal(1.0)
    assert radius.temperature.item() == pytest.approx(0.5)  # type: ignore[operator]


def test_adaptive_precisions_follow_the_gaps_of_their_codes() -> None:
    torch.manual_seed(0)
    radius = RADII["adaptive_mahalanobis"](1.0, 3, 2).train()
    spread = torch.tensor([[0.1, 3.0], [1.0, 1.0]])
    for _ in range(600):
        codes = torch.randint(0, 2, (64,))
        gaps = torch.randn(64, 2) * spread[codes]
        radius(gaps, gaps.norm(dim=1, keepdim=True), codes)
    precision = radius.precision(torch.arange(3))  # type: ignore[operator]
    assert precision[0, 0] > 100 * precision[0, 1]
    assert torch.allclose(precision[1:], torch.ones(2, 2), atol=0.2)
    gaps = torch.randn(20_000, 2) * spread[0]
    lengths = radius.value(gaps, torch.zeros(20_000, dtype=torch.long)).square().mean()
    assert lengths.item() == pytest.approx(gaps.square().sum(1).mean().item(), rel=0.2)
    before = radius.squares.clone()  # type: ignore[union-attr,operator]
    radius.eval()(torch.ones(4, 2), torch.ones(4, 1), torch.zeros(4, dtype=torch.long))
    assert torch.equal(radius.squares, before)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RADIAL)
def test_the_slope_does_not_change_when_everything_grows_together(name: str) -> None:
    """R = unit · ψ(δ / unit): tenfold latents, codewords and unit have the same Jacobian."""
    radius = _radius(name)
    z, q, _ = _pair(3.0)
    jacobians = [
        jacobian(lambda x, by=by: _move(x, by * q, radius, by * UNIT), by * z) for by in (1.0, 10.0)
    ]
    assert torch.allclose(jacobians[0], jacobians[1])
    other = jacobian(lambda x: _move(x, q, radius, 10 * UNIT), z)
    assert torch.allclose(jacobians[0], other) == (name == "euclidean")
