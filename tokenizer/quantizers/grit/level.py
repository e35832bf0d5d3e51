"""GRIT-VQ: generalized radius surrogate and integrated codebook transform (arXiv 2602.01140)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenizer.quantizer_config import GritConfig
from tokenizer.quantizers.base.quantizer import Quantizer
from tokenizer.quantizers.base.softplus import inverse_softplus
from tokenizer.quantizers.grit.codebook import PROTOCOLS
from tokenizer.quantizers.grit.radius import RADII, Radius
from tokenizer.quantizers.grit.transform import TRANSFORMS

__all__ = ["GritQuantizer", "surrogate"]

DRIFT_SAMPLE = 64  # codewords
# Of a level's scale, in standardised units: shorter residuals are rounding. Gaps are measured in
# the scale, and overflow where it is far smaller.
LEAST_SCALE = 1e-6
MOST_DRIFT = 0.1  # of their length, between the cached codebook and the live one


class GritQuantizer(Quantizer):
    """One level of GRIT-VQ: C̃ = gain · T(C), searched exactly, trained through the surrogate.

    In a stack the surrogate is that of the sum, z + r(z, Σ q_l) · sg[u], once. Its radius, unit and
    codes are the last level's, since the gap of the sum is the last level's.

    The gain fixes the scale, so that C can keep the unit scale of its gauge while residuals shrink
    from level to level.

    Attributes:
        raw: C and what becomes of it in training.
        transform: T.
        radius: r of the surrogate.
    """

    config: GritConfig

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.refresh_every = config.refresh_every
        self.radius = RADII[config.radius](config.psi_max, config.codebook_size, dimension)
        self.transform = TRANSFORMS[config.transform](config, dimension)
        self.raw = PROTOCOLS[config.protocol](config, dimension)
        self.raw_gain = nn.Parameter(torch.tensor(inverse_softplus(1.0)), requires_grad=config.gain)

    @property
    def gain(self) -> Tensor:
        """The level's scale, positive through softplus."""
        return functional.softplus(self.raw_gain)

    def codebook(self) -> Tensor:
        return self._scaled(self.transform(self.raw.rows))

    def codewords(self, codes: Tensor) -> Tensor:
        if self.codebook_size <= len(codes):
            return super().codewords(codes)
        return self._scaled(self.transform.rows(self.raw.rows, codes))

    def _scaled(self, transformed: Tensor) -> Tensor:
        if self.config.codeword_norm:
            transformed = functional.normalize(transformed, dim=1)
        return self.gain * transformed

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        return surrogate(z, q, codes, self.radius, self.gain.detach(), self.config.feed == "hard")

    def auxiliary(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        return super().auxiliary(z, q, codes) + self.raw.auxiliary(z, codes, self.codebook)

    def set_codewords(self, centres: Tensor) -> None:
        """Set C to the centres (K, d), in its gauge, and the gain to their scale.

        Without a gain C takes the scale, unless its rows have length 1.
        The scale is the RMS length of the centres rather than of the latents: codewords stand for
        cells' means, which are shorter than what lies in them.
        """
        scale = max(self.raw.set_(centres), LEAST_SCALE)
        if self.config.gain:
            self.raw_gain.fill_(inverse_softplus(scale))
        elif not self.config.row_norm:
            self.raw.rows.mul_(scale)

    def after_step(self, progress: float) -> dict[str, int]:
        acted = super().after_step(progress)
        with torch.no_grad():
            acted["clip"] = int(self.transform.clip_())
            acted["mixing"] = int(self.transform.clip_mixing_())
            acted["reset"] = self.raw.after_step(self.codebook, self.gain)
            acted["refresh"] = int(self._drifted())
        if acted["reset"] or acted["refresh"]:
            self.forget_searched()
        self.radius.anneal(progress)
        return acted

    def _drifted(self) -> bool:
        """Tell whether the cached codebook is far from a sample of the live one."""
        if self._searched is None or self.refresh_every == 1:
            return False
        sample = torch.arange(min(DRIFT_SAMPLE, self.codebook_size), device=self._searched.device)
        live = self._scaled(self.transform.rows(self.raw.rows, sample))
        cached = self._searched[sample]
        return bool((live - cached).norm() > MOST_DRIFT * live.norm())


def surrogate(
    z: Tensor, q: Tensor, codes: Tensor, radius: Radius, unit: Tensor, hard: bool = False
) -> Tensor:
    """Return z̃ = z + r(z, q) · sg[u] (§4.1), or with its gradients the codewords q.

    With g = ∂L/∂output and s = ∂r/∂e: z gets g − (uᵀg) s, q gets (uᵀg) s; for a radial family
    s = ψ′ u.

    The radius is taken in units of the level's scale, r = unit · ψ(δ / unit), so that ψ′ does not
    change when latents and codewords grow together; unit = 1 is the paper's. (The latents of a free
    encoder are of length 10 to 30, where δ^0.5 has slopes near 0, the straight-through estimator.)

    Args:
        z, q: (n, d).
        codes: (n,), whose codewords q are.
        unit: positive scalar, without gradient.
        hard: return q in value.
    """
    with torch.no_grad():
        gap = (q - z) / unit
        length = gap.norm(dim=-1, keepdim=True)
        direction = gap / length.clamp(min=torch.finfo(gap.dtype).tiny)
    value, slope = radius(gap, length, codes)
    apply: Callable[..., Tensor] = _Surrogate.apply
    return apply(z, q, unit * value, direction, slope, hard)


class _Surrogate(torch.autograd.Function):
    """The surrogate's value, and its gradients in closed form."""

    @staticmethod
    def forward(
        context: Any,
        z: Tensor,
        q: Tensor,
        value: Tensor,
        direction: Tensor,
        slope: Tensor,
        hard: bool,
    ) -> Tensor:
        context.save_for_backward(direction, slope)
        return q.clone() if hard else torch.addcmul(z, value.unsqueeze(-1), direction)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        direction, slope = context.saved_tensors
        along = (gradient * direction).sum(-1, keepdim=True)
        to_codeword = along * slope
        return gradient - to_codeword, to_codeword, along.squeeze(-1), None, None, None
