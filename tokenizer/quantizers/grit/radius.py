"""Radius families of the GRIT-VQ surrogate z̃ = z + r(z, q) · sg[u] (arXiv 2602.01140, App. A).

A family gives r ≥ 0 for the gap e = q − z. Radial families depend on δ = ‖e‖ alone: r = ψ(δ). The
slope s = ∂r/∂e is written down instead of left to autograd, so that it can be bounded: ‖s‖ ≤
psi_max in the BACKWARD pass, even if the family's own slope has no bound, like the power's at 0.

The surrogate's Jacobian in z is I − u sᵀ. For a radial family s points along u: with psi_max ≤ 1
the Jacobian is non-expansive, and below 2 it flips no gradient's sign. For the other families (lp,
mahalanobis, adaptive_mahalanobis) s has a part across u, and the Jacobian can EXPAND. Its norm is
(‖s‖ + √(‖s‖² + 4 (1 − sᵀu))) / 2, at most (1 + √5) / 2 = 1.62 for psi_max = 1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenizer.quantizers.base.softplus import inverse_softplus

__all__ = ["RADII", "PowerRadius", "Radius"]


class Radius(nn.Module):
    """A step length r with a bounded slope; softplus keeps learnable scalars positive."""

    def __init__(self, psi_max: float = 1.0, codebook_size: int = 1, dimension: int = 1) -> None:
        """Bound the slope by `psi_max`; families with a state for each code use the sizes."""
        super().__init__()
        self.psi_max = psi_max
        self.codebook_size = codebook_size
        self.dimension = dimension

    def forward(self, gap: Tensor, length: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return r (n,) and its bounded slope (n, d) for gaps to the codewords of `codes` (n,).

        Both are 0 if the gap is 0. r is differentiable in the family's parameters only. The slope,
        which the surrogate's backward pass applies, has no gradient.

        Args:
            gap: (n, d), without gradient.
            length: (n, 1), the lengths of the gaps.
        """
        with torch.no_grad():
            slope = self.slope(gap, codes)
            steepness = slope.norm(dim=-1, keepdim=True)
            slope = slope * (self.psi_max / steepness.clamp(min=1e-30)).clamp(max=1.0)
        return self.value(gap, codes), slope

    def value(self, gap: Tensor, codes: Tensor) -> Tensor:
        """Return r (n,), differentiable in the family's parameters."""
        raise NotImplementedError

    def slope(self, gap: Tensor, codes: Tensor) -> Tensor:
        """Return ∂r/∂e (n, d), before it is bounded."""
        raise NotImplementedError

    def anneal(self, progress: float) -> None:
        """Set the schedule to the training's progress in 0…1; most families have no schedule."""


class RadialRadius(Radius):
    """r = ψ(δ)."""

    def forward(self, gap: Tensor, length: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            safe = length.clamp(min=torch.finfo(length.dtype).tiny)
            slope = gap * (self.derivative(safe).clamp(max=self.psi_max) / safe)
        return self.profile(length.squeeze(-1)), slope

    def value(self, gap: Tensor, codes: Tensor) -> Tensor:
        return self.profile(gap.norm(dim=-1))

    def profile(self, length: Tensor) -> Tensor:
        """Return ψ(δ), with ψ(0) = 0."""
        raise NotImplementedError

    def derivative(self, length: Tensor) -> Tensor:
        """Return ψ′(δ) for δ > 0."""
        raise NotImplementedError


class EuclideanRadius(RadialRadius):
    """ψ = δ: the surrogate lands on the codeword."""

    def profile(self, length: Tensor) -> Tensor:
        return length

    def derivative(self, length: Tensor) -> Tensor:
        return torch.ones_like(length)


class PowerRadius(RadialRadius):
    """ψ = δ^α, α learnable from 0.5; α → 0 is the straight-through estimator.

    For α < 1, ψ′ = α δ^(α−1) grows without bound as δ → 0. With an unbounded slope, training
    collapsed to a handful of codes.
    """

    def __init__(self, psi_max: float = 1.0, codebook_size: int = 1, dimension: int = 1) -> None:
        super().__init__(psi_max, codebook_size, dimension)
        self.raw_alpha = nn.Parameter(torch.tensor(inverse_softplus(0.5)))

    @property
    def alpha(self) -> Tensor:
        """The exponent."""
        return functional.softplus(self.raw_alpha)

    def profile(self, length: Tensor) -> Tensor:
        # exp(α log δ): its gradient in α is cheaper than that of δ^α.
        logarithm = length.clamp(min=torch.finfo(length.dtype).tiny).log()
        return (length > 0).to(length.dtype) * torch.exp(self.alpha * logarithm)

    def derivative(self, length: Tensor) -> Tensor:
        return self.alpha * length.pow(self.alpha - 1)


class ScaledRadius(RadialRadius):
    """A radial family with one learnable length that starts at 1, the level's own scale."""

    def __init__(self, psi_max: float = 1.0, codebook_size: int = 1, dimension: int = 1) -> None:
        super().__init__(psi_max, codebook_size, dimension)
        self.raw_length = nn.Parameter(torch.tensor(inverse_softplus(1.0)))

    @property
    def length(self) -> Tensor:
        """τ or κ."""
        return functional.softplus(self.raw_length)


class ClippedRadius(ScaledRadius):
    """ψ = min(δ, τ); ψ′ = 0 beyond τ."""

    def profile(self, length: Tensor) -> Tensor:
        return torch.minimum(length, self.length)

    def derivative(self, length: Tensor) -> Tensor:
        return (length <= self.length).to(length.dtype)


class HuberRadius(ScaledRadius):
    """ψ = δ²/(2κ) for δ ≤ κ, else δ − κ/2."""

    def profile(self, length: Tensor) -> Tensor:
        kappa = self.length
        return torch.where(length <= kappa, length.square() / (2 * kappa), length - kappa / 2)

    def derivative(self, length: Tensor) -> Tensor:
        return (length / self.length).clamp(max=1.0)


class SoftClipRadius(ScaledRadius):
    """ψ = τ tanh(δ/τ): near δ for small δ, near τ for large δ."""

    def profile(self, length: Tensor) -> Tensor:
        return self.length * torch.tanh(length / self.length)

    def derivative(self, length: Tensor) -> Tensor:
        return 1 - torch.tanh(length / self.length).square()


class PseudoHuberRadius(ScaledRadius):
    """ψ = κ (√(1 + (δ/κ)²) − 1): quadratic near 0, slope → 1."""

    def profile(self, length: Tensor) -> Tensor:
        # √(1 + x²) − 1 = x² / (√(1 + x²) + 1); the second form loses no digits at small x.
        ratio = length / self.length
        return self.length * ratio.square() / ((1 + ratio.square()).sqrt() + 1)

    def derivative(self, length: Tensor) -> Tensor:
        ratio = length / self.length
        return ratio / (1 + ratio.square()).sqrt()


class AnnealedRadius(RadialRadius):
    """ψ = τ log(1 + δ/τ); τ falls geometrically from `FIRST` to `LAST`."""

    FIRST, LAST = 10.0, 0.5
    temperature: Tensor

    def __init__(self, psi_max: float = 1.0, codebook_size: int = 1, dimension: int = 1) -> None:
        super().__init__(psi_max, codebook_size, dimension)
        self.register_buffer("temperature", torch.tensor(self.FIRST))

    def anneal(self, progress: float) -> None:
        self.temperature.fill_(self.FIRST * (self.LAST / self.FIRST) ** progress)

    def profile(self, length: Tensor) -> Tensor:
        return self.temperature * torch.log1p(length / self.temperature)

    def derivative(self, length: Tensor) -> Tensor:
        return 1 / (1 + length / self.temperature)


class LpRadius(Radius):
    """r = ‖e‖_p with p > 1, learnable from 1.5; ε makes r smooth at components of 0.

    r = (Σ (eᵢ² + ε²)^(p/2))^(1/p), minus its value at e = 0.
    """

    EPSILON = 1e-3

    def __init__(self, psi_max: float = 1.0, codebook_size: int = 1, dimension: int = 1) -> None:
        super().__init__(psi_max, codebook_size, dimension)
        self.raw_excess = nn.Parameter(torch.tensor(inverse_softplus(0.5)))

    @property
    def p(self) -> Tensor:
        """The order of the norm."""
        return 1 + functional.softplus(self.raw_excess)

    def value(self, gap: Tensor, codes: Tensor) -> Tensor:
        at_zero = self._norm(torch.zeros_like(gap))
        return self._norm(gap) - at_zero

    def slope(self, gap: Tensor, codes: Tensor) -> Tensor:
        smooth = gap.square() + self.EPSILON**2
        norm = self._norm(gap).unsqueeze(-1)
        return norm.pow(1 - self.p) * smooth.pow(self.p / 2 - 1) * gap

    def _norm(self, gap: Tensor) -> Tensor:
        smooth = gap.square() + self.EPSILON**2
        return smooth.pow(self.p / 2).sum(-1).pow(1 / self.p)


class WeightedRadius(Radius):
    """r = √(eᵀ P e) with a diagonal P, one for all codes or one for each; ∂r/∂e = P e / r."""

    def precision(self, codes: Tensor) -> Tensor:
        """Return the diagonals, (d,) or (n, d)."""
        raise NotImplementedError

    def value(self, gap: Tensor, codes: Tensor) -> Tensor:
        square = (self.precision(codes) * gap.square()).sum(-1)
        away = square > 0
        safe = torch.where(away, square, torch.ones_like(square))
        return torch.where(away, safe.sqrt(), torch.zeros_like(square))

    def slope(self, gap: Tensor, codes: Tensor) -> Tensor:
        length = self.value(gap, codes).unsqueeze(-1)
        safe = torch.where(length > 0, length, torch.ones_like(length))
        return self.precision(codes) * gap / safe


class MahalanobisRadius(WeightedRadius):
    """P is a learnable diagonal, the identity at the start."""

    def __init__(self, psi_max: float = 1.0, codebook_size: int = 1, dimension: int = 1) -> None:
        super().__init__(psi_max, codebook_size, dimension)
        self.raw_precision = nn.Parameter(torch.full((dimension,), inverse_softplus(1.0)))

    def precision(self, codes: Tensor) -> Tensor:
        return functional.softplus(self.raw_precision)


class AdaptiveMahalanobisRadius(WeightedRadius):
    """Each code has its own diagonal P: the inverse of a running mean of its squared gaps.

    P is scaled by the code's mean squared gap, so that r² and ‖e‖² have the same mean. If gaps are
    alike in all directions, P is the identity and r is the Euclidean length.

    Attributes:
        squares: (K, d), running means of squared gaps; a buffer, saved with the model.
    """

    DECAY = 0.99
    squares: Tensor

    def __init__(self, psi_max: float = 1.0, codebook_size: int = 1, dimension: int = 1) -> None:
        super().__init__(psi_max, codebook_size, dimension)
        self.register_buffer("squares", torch.ones(codebook_size, dimension))

    def forward(self, gap: Tensor, length: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        radius = super().forward(gap, length, codes)
        if self.training:
            self._follow(gap, codes)
        return radius

    def precision(self, codes: Tensor) -> Tensor:
        squares = self.squares[codes]
        floor = 1e-3 * squares.mean(-1, keepdim=True) + 1e-30
        return (squares + floor).mean(-1, keepdim=True) / (squares + floor)

    def _follow(self, gap: Tensor, codes: Tensor) -> None:
        counts = torch.bincount(codes, minlength=self.codebook_size).unsqueeze(1)
        sums = torch.zeros_like(self.squares).index_add_(0, codes, gap.square())
        means = sums / counts.clamp(min=1)
        moved = self.DECAY * self.squares + (1 - self.DECAY) * means
        self.squares.copy_(torch.where(counts > 0, moved, self.squares))


RADII: dict[str, type[Radius]] = {
    "adaptive_mahalanobis": AdaptiveMahalanobisRadius,
    "annealed": AnnealedRadius,
    "clipped": ClippedRadius,
    "euclidean": EuclideanRadius,
    "huber": HuberRadius,
    "lp": LpRadius,
    "mahalanobis": MahalanobisRadius,
    "power": PowerRadius,
    "pseudo_huber": PseudoHuberRadius,
    "soft_clip": SoftClipRadius,
}
