"""Integrated codebook transforms of GRIT-VQ, C̃ = T(C) (arXiv 2602.01140, §4.2).

A transform depends on the codebook only, never on the vectors that are quantized. Each of its
parameters affects every codeword: one step moves all of them, even those that no vector chose.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenizer.quantizer_config import GritConfig

__all__ = ["TRANSFORMS", "LinearTransform", "Transform"]

NEAR = 0.9  # above this share of its bound, σ_max(W) is computed exactly
MOST_MIXED = 0.95  # upper bound of ‖U Vᵀ‖₂
ROUNDING = 1e-5
LEAST_KEPT = 0.1  # of σ_max(W); W's smaller singular values are not inverted
FULL_PACE = 4096  # K r up to which U and V learn at the full rate: 256 × 16, the defaults
MIXED_AT_START = 0.05  # λ, the share of attention in A, at the start


class Transform(nn.Module):
    """C̃ = T(C) for a codebook C (K, d); this one is the identity, `none`."""

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__()

    def forward(self, codebook: Tensor) -> Tensor:
        """Return C̃ (K, d)."""
        return self.rows(codebook, None)

    def rows(self, codebook: Tensor, codes: Tensor | None) -> Tensor:
        """Return only the rows `codes` (n,) of C̃, (n, d); None means all."""
        return _chosen(codebook, codes)

    def undone(self, shifts: Tensor) -> Tensor:
        """Return the shifts (m, d) of rows of C that shift rows of C̃ by `shifts`, without mixing.

        Directions that W all but removes are left out.
        """
        return shifts

    def largest_singular_value(self) -> float:
        """Return σ_max(W); 1 if the transform has no W."""
        return 1.0

    def smallest_singular_value(self) -> float:
        """Return σ_min(I + U Vᵀ) of the linear transform; 1 for other transforms."""
        return 1.0

    def clip_(self) -> bool:
        """Bring W into its bound; return whether it was outside."""
        return False

    def clip_mixing_(self) -> bool:
        """Bring the mixing of codewords into its bound; return whether it was outside."""
        return False


class WeightedTransform(Transform):
    """A transform that ends in a product with W (d, d), the identity at the start."""

    guess: Tensor

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.spectral_clip = config.spectral_clip
        self.w = nn.Parameter(torch.eye(dimension))
        start = torch.full((dimension,), dimension**-0.5)
        self.register_buffer("guess", start, persistent=False)

    @torch.no_grad()
    def undone(self, shifts: Tensor) -> Tensor:
        inverse = torch.linalg.pinv(self.w.detach().double().cpu(), rtol=LEAST_KEPT)
        undone: Tensor = shifts @ inverse.to(shifts)
        return undone

    def largest_singular_value(self) -> float:
        # A GPU takes longer than the CPU for so small a matrix.
        return float(torch.linalg.matrix_norm(self.w.detach().cpu(), ord=2))

    @torch.no_grad()
    def clip_(self) -> bool:
        """Scale W down so that σ_max(W) ≤ `spectral_clip`.

        A power iteration, continued from step to step, estimates σ_max from below. Only near the
        bound is σ_max computed exactly.
        """
        image = self.w @ self.guess
        back = self.w.T @ image
        self.guess.copy_(functional.normalize(back, dim=0))
        if image.norm() < NEAR * self.spectral_clip:
            return False
        sigma = self.largest_singular_value()
        if sigma > self.spectral_clip:
            self.w.mul_(self.spectral_clip / sigma)
        return sigma > self.spectral_clip


class LinearTransform(WeightedTransform):
    """C̃ = (I + U Vᵀ) C W in O(K r d + K d²).

    It starts at the identity: U = 0, V small and random, W = I. The bound ‖U Vᵀ‖₂ ≤ `MOST_MIXED`
    keeps σ_min(I + U Vᵀ) at 1 − `MOST_MIXED` or more.

    AdamW moves each of the 2 K r factors by about its rate, whatever their number. The product that
    moves a codeword is a sum over K and r, so that its first steps would grow with both, up to the
    bound. The pace is **ours**.

    Attributes:
        u, v: (K, r).
        w: (d, d).
        pace: the share of the codebook's learning rate that U and V have, √(4,096 / K r) or 1.
    """

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.u = nn.Parameter(torch.zeros(config.codebook_size, config.rank))
        self.v = nn.Parameter(torch.randn_like(self.u) / config.codebook_size)
        self.pace = min(1.0, math.sqrt(FULL_PACE / (config.codebook_size * config.rank)))

    def rows(self, codebook: Tensor, codes: Tensor | None) -> Tensor:
        shared = self.v.T @ codebook
        mixed = _chosen(codebook, codes) + _chosen(self.u, codes) @ shared
        return mixed @ self.w

    @torch.no_grad()
    def smallest_singular_value(self) -> float:
        u, v = self.u.double().cpu(), self.v.double().cpu()
        if not (torch.isfinite(u).all() and torch.isfinite(v).all()):
            return math.nan
        basis = torch.linalg.qr(torch.cat([u, v], dim=1)).Q  # beyond it I + U Vᵀ is the identity
        inside = torch.eye(basis.shape[1]).to(u) + (basis.T @ u) @ (v.T @ basis)
        return min(1.0, float(torch.linalg.matrix_norm(inside, ord=-2)))

    @torch.no_grad()
    def clip_mixing_(self) -> bool:
        """Scale U down so that ‖U Vᵀ‖₂ ≤ `MOST_MIXED`.

        The Frobenius norm, an upper bound, is cheap; only near the bound is the spectral norm
        computed. Values that are not finite stay: the training loop finds and names them.
        """
        of_u, of_v = (part.T @ part for part in (self.u, self.v))
        square = (of_u * of_v).sum()
        if square <= MOST_MIXED**2 or not torch.isfinite(square):
            return False
        values, vectors = torch.linalg.eigh(of_v.double())
        root = vectors * values.clamp(min=0).sqrt() @ vectors.T
        norm = float(torch.linalg.eigvalsh(root @ of_u.double() @ root)[-1].clamp(min=0).sqrt())
        beyond = norm > MOST_MIXED * (1 + ROUNDING)
        if beyond:
            self.u.mul_(MOST_MIXED / norm)
        return beyond


class AttentionTransform(WeightedTransform):
    """C̃ = A C W with A = (1 − λ) I + λ softmax((C Q)(C P)ᵀ / √d), row-stochastic.

    λ = sigmoid(raw_mix) starts at 0.05, so that A starts near the identity; while λ < ½, A has full
    rank. The whole codebook takes O(K² d).

    Attributes:
        query, key: Q and P (d, d), the identity at the start.
    """

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.top_k = config.top_k
        self.query = nn.Parameter(torch.eye(dimension))
        self.key = nn.Parameter(torch.eye(dimension))
        self.raw_mix = nn.Parameter(torch.tensor(math.log(MIXED_AT_START / (1 - MIXED_AT_START))))

    def rows(self, codebook: Tensor, codes: Tensor | None) -> Tensor:
        chosen = _chosen(codebook, codes)
        mix = torch.sigmoid(self.raw_mix)
        mixed: Tensor = (1 - mix) * chosen + mix * self.attended(chosen, codebook)
        return mixed @ self.w

    def attended(self, chosen: Tensor, codebook: Tensor) -> Tensor:
        """Return the attention outputs (n, d) of the rows `chosen` (n, d)."""
        attended: Tensor = self.scores(chosen, codebook).softmax(1) @ codebook
        return attended

    def scores(self, chosen: Tensor, codebook: Tensor) -> Tensor:
        """Return the scaled dot products (n, K) of rows with all codewords."""
        products: Tensor = (chosen @ self.query) @ (codebook @ self.key).T
        return products / math.sqrt(codebook.shape[1])


class TopKAttention(AttentionTransform):
    """Attention of each row to its `top_k` best codewords only."""

    def attended(self, chosen: Tensor, codebook: Tensor) -> Tensor:
        best, which = self.scores(chosen, codebook).topk(self.top_k, dim=1)
        return (best.softmax(1).unsqueeze(2) * codebook[which]).sum(1)


class LowRankAttention(WeightedTransform):
    """Attention with positive features, A = (1 − λ) I + λ D⁻¹ φ(C Q) φ(C P)ᵀ; A is never formed.

    φ is a softmax: over the r features for the query, over the codewords for the key. Rows then sum
    to 1 (D = I). The cost is O(K r d + K d²).

    Attributes:
        query, key: Q and P (d, r).
    """

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.query = nn.Parameter(torch.randn(dimension, config.rank) / dimension**0.5)
        self.key = nn.Parameter(torch.randn(dimension, config.rank) / dimension**0.5)
        self.raw_mix = nn.Parameter(torch.tensor(math.log(MIXED_AT_START / (1 - MIXED_AT_START))))

    def rows(self, codebook: Tensor, codes: Tensor | None) -> Tensor:
        chosen = _chosen(codebook, codes)
        asked = (chosen @ self.query).softmax(1)
        offered = (codebook @ self.key).softmax(0)
        attended = asked @ (offered.T @ codebook)  # both softmaxes sum to 1, so A's rows do too
        mix = torch.sigmoid(self.raw_mix)
        mixed: Tensor = (1 - mix) * chosen + mix * attended
        return mixed @ self.w


def _chosen(rows: Tensor, codes: Tensor | None) -> Tensor:
    return rows if codes is None else rows[codes]


TRANSFORMS: dict[str, type[Transform]] = {
    "attention": AttentionTransform,
    "attention_low_rank": LowRankAttention,
    "attention_top_k": TopKAttention,
    "linear": LinearTransform,
    "none": Transform,
}
