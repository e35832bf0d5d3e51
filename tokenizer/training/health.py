"""Measures of how evenly a tokenizer uses its codes and how much the codes lose."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

__all__ = ["LevelHealth", "level_health", "prefix_sizes", "relative_error", "unique_share"]


@dataclass(frozen=True)
class LevelHealth:
    """The use of one level over a set of items.

    Attributes:
        utilization: share of the K codewords that at least one item uses.
        dead_codes: number of codewords that no item uses.
        perplexity: exp of the entropy of the codes' distribution; K if all are used equally.
    """

    utilization: float
    dead_codes: int
    perplexity: float

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


def level_health(codes: Tensor, codebook_size: int) -> list[LevelHealth]:
    """Measure each level of codes (n, L), n ≥ 1."""
    health = []
    for level in codes.T:
        counts = torch.bincount(level, minlength=codebook_size).double()
        shares = counts[counts > 0] / counts.sum()
        health.append(
            LevelHealth(
                utilization=float((counts > 0).double().mean()),
                dead_codes=int((counts == 0).sum()),
                perplexity=float(torch.exp(-(shares * shares.log()).sum())),
            )
        )
    return health


def unique_share(codes: Tensor) -> float:
    """Return the share of items (n, L), n ≥ 1, whose codes no other item has."""
    _, counts = torch.unique(codes, dim=0, return_counts=True)
    return float((counts == 1).sum() / len(codes))


def prefix_sizes(codes: Tensor) -> list[dict[str, float]]:
    """Return, for each length of a prefix of codes (n, L), how the items share prefixes.

    `used` is the number of prefixes that some item has, `single` the share of them with one item,
    and `mean` the mean number of items of a prefix.
    """
    sizes = []
    for length in range(1, codes.shape[1] + 1):
        _, counts = torch.unique(codes[:, :length], dim=0, return_counts=True)
        single = float((counts == 1).double().mean())
        sizes.append({"used": len(counts), "single": single, "mean": len(codes) / len(counts)})
    return sizes


def relative_error(vectors: Tensor, reconstructed: Tensor, mean: Tensor) -> float:
    """Return Σ‖x − x̂‖² / Σ‖x − mean‖² over (n, D): the share of the variance that is lost."""
    lost = (vectors - reconstructed).double().square().sum()
    return float(lost / (vectors - mean).double().square().sum().clamp(min=1e-30))
