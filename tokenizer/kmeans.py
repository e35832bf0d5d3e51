"""k-means, the same result for one seed on one machine; no centre stays without vectors."""

import torch
from torch import Tensor

__all__ = ["kmeans", "nearest"]

CHUNK = 4096


def kmeans(vectors: Tensor, k: int, generator: torch.Generator, iterations: int = 25) -> Tensor:
    """Return k centres (k, d) of `vectors` (n, d): k-means++ seeding, then Lloyd's iterations.

    A centre that loses all its vectors is put on the vector that lies farthest from its own
    centre. With n < k the surplus centres are vectors drawn again.

    Args:
        generator: on the CPU; every draw comes from it.
    """
    centres = _plus_plus(vectors, k, generator)
    for _ in range(iterations):
        codes, distances = nearest(vectors, centres)
        counts = torch.bincount(codes, minlength=k)
        sums = torch.zeros_like(centres).index_add_(0, codes, vectors)
        moved = sums / counts.clamp(min=1).unsqueeze(1)
        empty = (counts == 0).nonzero().squeeze(1)[: len(vectors)]
        if len(empty):
            moved[empty] = vectors[distances.topk(len(empty)).indices]
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def nearest(vectors: Tensor, codewords: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index (n,) of the nearest codeword and the squared distance (n,) to it."""
    codes, distances = [], []
    half_norms = codewords.square().sum(1) / 2
    for chunk in torch.split(vectors, CHUNK):
        # argmin ‖z − c‖² = argmin ‖c‖²/2 − z·c
        scores, index = torch.addmm(half_norms, chunk, codewords.T, alpha=-1).min(1)
        codes.append(index)
        distances.append((2 * scores + chunk.square().sum(1)).clamp(min=0))
    if not codes:
        return vectors.new_zeros(0, dtype=torch.long), vectors.new_zeros(0)
    return torch.cat(codes), torch.cat(distances)


def _plus_plus(vectors: Tensor, k: int, generator: torch.Generator) -> Tensor:
    first = int(torch.randint(len(vectors), (1,), generator=generator))
    centres = vectors[first].repeat(k, 1)
    distances = (vectors - centres[0]).square().sum(1)
    for index in range(1, k):
        weights = distances.double().cpu()
        if weights.sum() == 0:
            weights = torch.ones_like(weights)
        chosen = int(torch.multinomial(weights, 1, generator=generator))
        centres[index] = vectors[chosen]
        distances = torch.minimum(distances, (vectors - centres[index]).square().sum(1))
    return centres
