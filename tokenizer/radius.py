"""Radius families of the GRIT-VQ surrogate z̃ = z + r(z, q) · sg[u] (arXiv 2602.01140, App. A)."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["RADII", "EuclideanRadius", "PowerRadius", "Radius", "inverse_softplus"]


class Radius(nn.Module):
    """A step length r from the gap e = q − z; radial families depend on δ = ‖e‖ alone, r = ψ(δ)."""

    def __init__(self, psi_max: float = 1.0) -> None:
        """Bound the slope: 0 ≤ ψ′ ≤ `psi_max` in the backward pass."""
        super().__init__()
        self.psi_max = psi_max

    def forward(self, gap: Tensor, direction: Tensor) -> Tensor:
        """Return r.

        Args:
            gap: (…, d), e.
            direction: (…, d), u = e/δ without gradient, the zero vector where δ = 0.

        Returns:
            (…,); where δ = 0 value and gradient are 0.
        """
        # (e · sg u) is ‖e‖ in value and has the gradient u, also at e = 0, where ‖e‖ has none.
        return self.profile((gap * direction).sum(-1))

    def profile(self, length: Tensor) -> Tensor:
        """Return ψ(δ) for δ ≥ 0."""
        raise NotImplementedError


class EuclideanRadius(Radius):
    """ψ(δ) = δ: the surrogate lands on the codeword, ψ′ = min(1, psi_max)."""

    def profile(self, length: Tensor) -> Tensor:
        slope = min(1.0, self.psi_max)
        return slope * length + (1 - slope) * length.detach()


class PowerRadius(Radius):
    """ψ(δ) = δ^α, α learnable from 0.5; α → 0 is the straight-through estimator.

    ψ′ = α δ^(α−1) grows without bound as δ → 0 where α < 1, so the BACKWARD pass clamps it to
    `psi_max`; without that bound training collapsed to a handful of codes. The gradient of α,
    δ^α ln δ, is 0 at δ = 0.
    """

    def __init__(self, psi_max: float = 1.0, alpha: float = 0.5) -> None:
        super().__init__(psi_max)
        self.raw_alpha = nn.Parameter(torch.tensor(inverse_softplus(alpha)))

    @property
    def alpha(self) -> Tensor:
        """The exponent, positive through softplus."""
        return functional.softplus(self.raw_alpha)

    def profile(self, length: Tensor) -> Tensor:
        power: Tensor = _BoundedPower.apply(length, self.alpha, self.psi_max)  # type: ignore[no-untyped-call]
        return power


class _BoundedPower(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, length: Tensor, alpha: Tensor, psi_max: float) -> Tensor:
        power = torch.where(length > 0, length.pow(alpha), torch.zeros_like(length))
        ctx.save_for_backward(length, alpha, power)
        ctx.psi_max = psi_max
        return power

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        length, alpha, power = ctx.saved_tensors
        positive = length > 0
        safe = torch.where(positive, length, torch.ones_like(length))
        slope = torch.where(positive, alpha * power / safe, torch.zeros_like(length))
        to_alpha = (gradient * power * safe.log()).sum()
        return gradient * slope.clamp(max=ctx.psi_max), to_alpha, None


def inverse_softplus(value: float) -> float:
    """Return x with softplus(x) = `value` > 0."""
    return value + math.log(-math.expm1(-value))


RADII: dict[str, type[Radius]] = {"euclidean": EuclideanRadius, "power": PowerRadius}
