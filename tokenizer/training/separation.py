"""A loss term that keeps similar items farther apart than a code's resolution.

Two items whose latents fall into the same cell of the last level get the same codes and need a
suffix. On Amazon Beauty (12,101 items, `semid fit` with and without --set separation=0) the term
raises the share of items with unique codes from 96.8 % to 98.6 %, and the held-out error from .514
to .521.
"""

import torch
from torch import Tensor

__all__ = ["nearest_others", "separation_loss"]

GROUP = 8192
CHUNK = 1024
# Two rows count as equal if the mean square of their difference, in standardised units, is lower.
SAME = 1e-6


def separation_loss(latent: Tensor, other: Tensor, quantized: Tensor, margin: float) -> Tensor:
    """Return the mean of max(0, 1 − ‖z − z′‖² / (margin · s²)).

    s² is the mean squared distance between latents and their codewords: the size of a cell. No
    gradient goes through s².

    Args:
        latent, other: (n, d), the latents z of items and z′ of their nearest other items.
        quantized: the codewords of z (n, d).
    """
    cell = (latent - quantized).detach().square().sum(1).mean()
    distance = (latent - other).square().sum(1)
    return torch.relu(1 - distance / (margin * cell).clamp(min=1e-12)).mean()


@torch.no_grad()
def nearest_others(x: Tensor) -> Tensor:
    """Return, for each standardised row (n, D), the number of the nearest row unequal to it.

    The result is exact up to 8,192 rows. Larger sets are halved along their principal direction
    until each part is that small; neighbours are then searched within a part. If all rows are
    equal, a row gets its own number.
    """
    result = torch.arange(len(x), device=x.device)
    parts = [result.clone()]
    while parts:
        rows = parts.pop()
        if len(rows) > GROUP:
            order = rows[_principal_coordinate(x[rows]).argsort(stable=True)]
            parts += [order[: len(order) // 2], order[len(order) // 2 :]]
        else:
            result[rows] = rows[_nearest_in(x[rows])]
    return result


def _nearest_in(x: Tensor) -> Tensor:
    norms = x.square().sum(1)
    nearest = []
    for start in range(0, len(x), CHUNK):
        chunk = x[start : start + CHUNK]
        distances = norms[start : start + CHUNK, None] + norms - 2 * chunk @ x.T
        distances[distances < SAME * x.shape[1]] = torch.inf
        own = torch.arange(start, start + len(chunk), device=x.device)
        distances[own - start, own] = torch.inf
        smallest, index = distances.min(1)
        nearest.append(torch.where(smallest.isinf(), own, index))
    return torch.cat(nearest)


def _principal_coordinate(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    direction = torch.ones(x.shape[1], dtype=x.dtype, device=x.device)
    for _ in range(20):  # power iteration
        direction = centred.T @ (centred @ direction)
        direction /= direction.norm().clamp(min=1e-12)
    return centred @ direction
