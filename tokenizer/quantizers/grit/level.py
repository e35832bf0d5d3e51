"""GRIT-VQ: generalized radius surrogate and integrated codebook transform (arXiv 2602.01140)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenizer.quantizer_config import GritConfig
from tokenizer.quantizers.base.quantizer import Quantizer
from tokenizer.quantizers.base.softplus import inverse_softplus
from tokenizer.quantizers.grit.codebook import PROTOCOLS, JointCodebook
from tokenizer.quantizers.grit.radius import RADII, Radius
from tokenizer.quantizers.grit.transform import TRANSFORMS

__all__ = ["GritQuantizer", "surrogate"]

DRIFT_SAMPLE = 64  # codewords compared to detect drift
# Smallest scale of a level, in standardised units: shorter residuals are rounding errors. Gaps are
# divided by the scale, and would overflow at a far smaller one.
LEAST_SCALE = 1e-6
# Steps between two checks of ‖U Vᵀ‖ and of dead codewords. A check waits for the GPU and takes as
# long as a part of the step; U and V move little in so many steps.
GUARDED_EVERY = 8
MOST_SCALES = 10.0  # length of a codeword that is put on a latent, in units of the level's scale
PUTS = 3  # repeated, since a codeword that moves also moves the others a little
MOST_DRIFT = 0.1  # largest drift of the live codebook from the cached one, relative to its length


class GritQuantizer(Quantizer):
    """One level of GRIT-VQ: C̃ = gain · T(C), searched exactly, trained through the surrogate.

    In a stack the surrogate is applied once, to the sum: z + r(z, Σ q_l) · sg[u]. The last level
    gives its radius, unit and codes, because the gap of the sum is that level's gap.

    The gain holds the level's scale. C can therefore keep the unit scale of its gauge while
    residuals shrink from level to level.

    Attributes:
        raw: C and its protocol in training.
        transform: T.
        radius: r, the surrogate's radius.
    """

    config: GritConfig

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.refresh_every = config.refresh_every
        self.radius = RADII[config.radius](config.psi_max, config.codebook_size, dimension)
        self.transform = TRANSFORMS[config.transform](config, dimension)
        self.raw = PROTOCOLS[config.protocol](config, dimension)
        self.refills = config.reset_below > 0 and isinstance(self.raw, JointCodebook)
        self._steps = 0
        self.raw_gain = nn.Parameter(torch.tensor(inverse_softplus(1.0)), requires_grad=config.gain)

    @property
    def gain(self) -> Tensor:
        """The level's scale; softplus keeps it positive."""
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
        """Set C to the centres (K, d), brought into its gauge, and the gain to their scale.

        Without a gain C keeps the scale, unless its rows have length 1. The scale is the RMS length
        of the centres, not of the latents: codewords are means of cells, and a mean is shorter than
        the latents in its cell.
        """
        scale = max(self.raw.set_(centres), LEAST_SCALE)
        if self.config.gain:
            self.raw_gain.fill_(inverse_softplus(scale))
        elif not self.config.row_norm:
            self.raw.rows.mul_(scale)

    @torch.no_grad()
    def put(self, which: Tensor, targets: Tensor) -> None:
        assert isinstance(self.raw, JointCodebook)
        # Where residuals are rounding errors, the scale is far below them, and rows of C would be
        # huge: a small change of the gain would then throw them far away.
        fit = targets.norm(dim=1) <= MOST_SCALES * self.gain
        which, targets = which[fit], targets[fit]
        for _ in range(PUTS):
            current = self.codebook()
            shifts = self.transform.undone(targets - current[which])
            self.raw.put(which, current[which] + shifts, current, self.gain)
        self.forget_searched()

    def after_step(self, progress: float) -> dict[str, int]:
        acted = super().after_step(progress)
        guarded = self._steps % GUARDED_EVERY == 0
        self._steps += 1
        with torch.no_grad():
            acted["clip"] = int(self.transform.clip_())
            if guarded:
                acted["mixing"] = int(self.transform.clip_mixing_())
            acted["reset"] = self.raw.after_step(self.codebook, self.gain, guarded)
            acted["refresh"] = int(self._drifted())
        if acted["reset"] or acted["refresh"]:
            self.forget_searched()
        self.radius.anneal(progress)
        return acted

    def _drifted(self) -> bool:
        """Return whether the cached codebook is far from a sample of the live one."""
        if self._searched is None or self.refresh_every == 1:
            return False
        sample = torch.arange(min(DRIFT_SAMPLE, self.codebook_size), device=self._searched.device)
        live = self._scaled(self.transform.rows(self.raw.rows, sample))
        cached = self._searched[sample]
        return bool((live - cached).norm() > MOST_DRIFT * live.norm())


def surrogate(
    z: Tensor, q: Tensor, codes: Tensor, radius: Radius, unit: Tensor, hard: bool = False
) -> Tensor:
    """Return the surrogate z̃ = z + r(z, q) · sg[u] (§4.1), or q with the surrogate's gradients.

    Let g = ∂L/∂output and s = ∂r/∂e. Then z gets the gradient g − (uᵀg) s, and q gets (uᵀg) s. For
    a radial family s = ψ′ u.

    The radius is measured in units of the level's scale, r = unit · ψ(δ / unit): ψ′ then does not
    change if latents and codewords grow together. unit = 1 is the paper's form. (With a free
    encoder latents have lengths of 10 to 30. There the slope of δ^0.5 is near 0, and the surrogate
    nearly becomes the straight-through estimator.)

    Args:
        z, q: (n, d).
        codes: (n,), the codes of the codewords q.
        unit: positive scalar, without gradient.
        hard: return the value q instead of z̃.
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
