"""The surrogate's identities by autograd in float64: Jacobians, eigenvalues, gradients, clamps."""

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from tests.tokenizer.autograd import gradient
from tokenizer.quantizers.grit import surrogate
from tokenizer.radius import RADII, PowerRadius, Radius

UNIT = torch.ones((), dtype=torch.float64)
GAPS = (1e-3, 0.3, 1.0, 7.0)


def _radius(name: str, psi_max: float = 1.0) -> Radius:
    return RADII[name](psi_max).double()


def _slope(name: str, radius: Radius, gap: float) -> float:
    """ψ′ from the formula, clamped."""
    if name == "power":
        assert isinstance(radius, PowerRadius)
        alpha = radius.alpha.item()
        return min(alpha * gap ** (alpha - 1), radius.psi_max)
    return min(1.0, radius.psi_max)


def _pair(gap: float) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    u = torch.nn.functional.normalize(torch.randn(5, dtype=torch.float64), dim=0)
    z = torch.randn(5, dtype=torch.float64)
    return z, z + gap * u, u


@pytest.mark.parametrize("name", sorted(RADII))
@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("psi_max", [0.7, 1.0])
def test_jacobians_and_eigenvalues(name: str, gap: float, psi_max: float) -> None:
    """∂z̃/∂z = I − ψ′uuᵀ with eigenvalues 1 (d−1 times) and 1 − ψ′; ∂z̃/∂q = ψ′uuᵀ."""
    radius = _radius(name, psi_max)
    z, q, u = _pair(gap)
    slope = _slope(name, radius, gap)
    by_z = jacobian(lambda x: surrogate(x[None], q[None], radius, UNIT)[0], z)
    by_q = jacobian(lambda x: surrogate(z[None], x[None], radius, UNIT)[0], q)
    outer = torch.outer(u, u)
    assert torch.allclose(by_z, torch.eye(5, dtype=torch.float64) - slope * outer, atol=1e-9)
    assert torch.allclose(by_q, slope * outer, atol=1e-9)
    eigenvalues = torch.linalg.eigvalsh(by_z)
    expected = torch.tensor([1 - slope, 1, 1, 1, 1], dtype=torch.float64)
    assert torch.allclose(eigenvalues, expected.sort().values, atol=1e-9)


@pytest.mark.parametrize("name", sorted(RADII))
@pytest.mark.parametrize("gap", [0.0, 1e-300, 1e6])
def test_values_and_gradients_are_finite_at_the_ends(name: str, gap: float) -> None:
    radius = _radius(name)
    z, q, _ = _pair(gap)
    z.requires_grad_()
    q.requires_grad_()
    out = surrogate(z[None], q[None], radius, UNIT)
    assert torch.allclose(out[0], q)
    out.sum().backward()
    every = [z, q, *radius.parameters()]
    assert all(gradient(tensor).isfinite().all() for tensor in every)
    if gap == 0:
        assert torch.equal(gradient(z), torch.ones_like(z))
        assert torch.equal(gradient(q), torch.zeros_like(q))


def test_the_power_has_the_gradient_of_its_formula() -> None:
    """Where nothing is clamped the hand-written backward is that of δ^α."""
    length = torch.tensor([2.0, 5.0], dtype=torch.float64, requires_grad=True)
    radius = PowerRadius().double()
    assert torch.autograd.gradcheck(radius.profile, (length,))
    radius.profile(length).sum().backward()
    alpha = radius.alpha.detach().clone().requires_grad_()
    length.detach().pow(alpha).sum().backward()
    chain = torch.sigmoid(radius.raw_alpha)
    assert torch.allclose(gradient(radius.raw_alpha), gradient(alpha) * chain)
    assert radius.alpha.item() == pytest.approx(0.5, abs=1e-6)


def test_one_step_changes_the_gap_as_predicted() -> None:
    """Steps of −η on both ends change u·e by η (1 − 2ψ′) uᵀg to first order."""
    rate = 1e-6
    for name in RADII:
        radius = _radius(name)
        z, q, u = _pair(0.8)
        z.requires_grad_()
        q.requires_grad_()
        g = torch.randn(5, dtype=torch.float64)
        (surrogate(z[None], q[None], radius, UNIT)[0] @ g).backward()
        change = float(u @ ((q - rate * gradient(q)) - (z - rate * gradient(z))).detach()) - 0.8
        predicted = rate * (1 - 2 * _slope(name, radius, 0.8)) * float(u @ g)
        assert change == pytest.approx(predicted, rel=1e-3)


@pytest.mark.parametrize("name", sorted(RADII))
def test_the_slope_does_not_change_when_everything_grows_together(name: str) -> None:
    """R = unit · ψ(δ / unit): tenfold latents, codewords and unit have the same Jacobian."""
    radius = _radius(name)
    z, q, _ = _pair(3.0)
    jacobians = [
        jacobian(lambda x, by=by: surrogate(x[None], by * q[None], radius, by * UNIT)[0], by * z)
        for by in (1.0, 10.0)
    ]
    assert torch.allclose(jacobians[0], jacobians[1])
    other = jacobian(lambda x: surrogate(x[None], q[None], radius, 10 * UNIT)[0], z)
    assert torch.allclose(jacobians[0], other) == (name == "euclidean")
