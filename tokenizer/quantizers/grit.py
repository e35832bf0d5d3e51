"""GRIT-VQ: generalized radius surrogate and integrated codebook transform (arXiv 2602.01140)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenizer.config import QuantizerConfig
from tokenizer.quantizers.base import Quantizer
from tokenizer.radius import RADII, Radius, inverse_softplus
from tokenizer.transform import LinearTransform

__all__ = ["GritQuantizer", "surrogate"]


class GritQuantizer(Quantizer):
    """One level of GRIT-VQ, protocol A (frozen raw codebook), hard feed.

    C̃ = gain · (I + U Vᵀ) C W. The raw codebook C is fixed after `start_from`; U, V, W, the gain and
    the radius learn. The gain fixes the scale, so that C can keep the unit scale of its gauge while
    residuals shrink from level to level.

    Attributes:
        raw: C (K, d), a buffer.
    """

    raw: Tensor

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.radius = RADII[config.radius](config.psi_max, config.codebook_size, dimension)
        self.transform = LinearTransform(
            config.codebook_size, dimension, config.rank, config.spectral_clip
        )
        self.raw_gain = nn.Parameter(torch.tensor(inverse_softplus(1.0)))
        self.register_buffer("raw", torch.zeros(config.codebook_size, dimension))

    @property
    def gain(self) -> Tensor:
        """The level's scale, positive through softplus."""
        return functional.softplus(self.raw_gain)

    def codebook(self) -> Tensor:
        transformed: Tensor = self.transform(self.raw)
        return self.gain * transformed

    def codewords(self, codes: Tensor) -> Tensor:
        return self.gain * self.transform.rows(self.raw, codes)

    def estimate(self, z: Tensor, q: Tensor, codes: Tensor) -> Tensor:
        return surrogate(z, q, codes, self.radius, self.gain.detach())

    def set_codewords(self, centres: Tensor) -> None:
        """Set C to the centres (K, d), in its gauge, and the gain to their scale.

        The scale is the RMS length of the centres rather than of the latents: codewords stand for
        cells' means, which are shorter than what lies in them.
        """
        lengths = centres.norm(dim=1, keepdim=True)
        scale = lengths.square().mean().sqrt().clamp(min=torch.finfo(centres.dtype).tiny)
        divisor = lengths.clamp(min=1e-6 * float(scale)) if self.config.row_norm else scale
        self.raw.copy_(centres / divisor)
        self.raw_gain.fill_(inverse_softplus(float(scale)))

    def after_step(self, progress: float) -> None:
        self.transform.clip_()
        self.radius.anneal(progress)


def surrogate(z: Tensor, q: Tensor, codes: Tensor, radius: Radius, unit: Tensor) -> Tensor:
    """Return the codewords q with the gradients of z̃ = z + r(z, q) · sg[u] (§4.1).

    With g = ∂L/∂output and s = ∂r/∂e: z gets g − (uᵀg) s, q gets (uᵀg) s; for a radial family
    s = ψ′ u.

    The radius is taken in units of the level's scale, r = unit · ψ(δ / unit), so that ψ′ does not
    change when latents and codewords grow together; unit = 1 is the paper's. (The latents of a free
    encoder are of length 10 to 30, where δ^0.5 has slopes near 0, the straight-through estimator.)

    Args:
        z, q: (n, d).
        codes: (n,), whose codewords q are.
        unit: positive scalar, without gradient.
    """
    gap = q - z
    with torch.no_grad():
        length = gap.norm(dim=-1, keepdim=True)
        direction = torch.where(length > 0, gap / length, torch.zeros_like(gap))
    moved: Tensor = z + unit * radius(gap / unit, codes).unsqueeze(-1) * direction
    return moved + (q - moved).detach()
