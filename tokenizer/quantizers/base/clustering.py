"""k-means in which no centre stays empty; a seed determines the result on one machine."""

import torch
from torch import Tensor

from tokenizer.quantizers.base.search import nearest

__all__ = ["kmeans", "rows_of_few"]

MOST_DIRECT = 64
FIRST_WIDTH = 8
PROGRESSIVE_ITERATIONS = 10
ROUND = 32
LEAST_WEIGHT = 1e-12  # of the largest; seeds may repeat where fewer vectors are distinct
SEEN_FIRST = 2  # times k: how many rows `rows_of_few` looks at first


def kmeans(vectors: Tensor, k: int, generator: torch.Generator, iterations: int = 25) -> Tensor:
    """Return k centres (k, d) of `vectors` (n, d): k-means++ seeding, then Lloyd's iterations.

    A centre that loses all its vectors moves to the vector that lies farthest from its own centre.
    If at most k vectors are distinct, they are the centres, as `rows_of_few` returns them.

    Vectors wider than 64 are clustered first in their 8 principal directions, then in twice as
    many, and so on. Each round starts from the centres of the round before. This finds coarse
    structure first, like FAISS's progressive-dimension clustering. Measured on Amazon Beauty in 384
    dimensions: the validation error of residual k-means falls from .441 to .435, and with a beam of
    5 from .423 to .406.

    Args:
        generator: on the CPU; the source of every random draw.
    """
    if (few := rows_of_few(vectors, k)) is not None:
        return few
    width = vectors.shape[1]
    if width <= MOST_DIRECT:
        return _lloyd(vectors, _plus_plus(vectors, k, generator), iterations)
    turn = _principal_directions(vectors)
    turned = vectors @ turn
    used = FIRST_WIDTH
    centres = _plus_plus(turned[:, :used].contiguous(), k, generator)
    while True:
        centres = _lloyd(turned[:, :used].contiguous(), centres, PROGRESSIVE_ITERATIONS)
        if used == width:
            return centres @ turn.T
        wider = min(2 * used, width)
        centres = torch.cat([centres, centres.new_zeros(k, wider - used)], dim=1)
        used = wider


def rows_of_few(vectors: Tensor, k: int) -> Tensor | None:
    """Return k rows (k, d) that contain each of `vectors` (n, d); None if more than k are distinct.

    The distinct vectors are in rising order, and repeat from the first on to fill k rows.
    """
    for part in (vectors[: SEEN_FIRST * k], vectors):  # a few rows usually show too many
        distinct: Tensor = part.unique(dim=0)  # type: ignore[no-untyped-call]
        if len(distinct) > k:
            return None
    return distinct[torch.arange(k, device=vectors.device) % len(distinct)]


def _lloyd(vectors: Tensor, centres: Tensor, iterations: int) -> Tensor:
    k = len(centres)
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


def _principal_directions(vectors: Tensor) -> Tensor:
    """Return an orthogonal matrix (d, d), directions of largest variance first."""
    centred = (vectors - vectors.mean(0)).double()
    directions: Tensor = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)
    return directions.to(vectors.dtype)


def _plus_plus(vectors: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Return k of the vectors as seeds, drawn in proportion to their squared distance to others.

    Seeds are drawn in rounds, as in k-means‖ (arXiv 1203.6402): one in each of the first rounds, as
    k-means++ does, later a `ROUND`th of the seeds so far. 65,536 seeds take 280 rounds.
    """
    drawn = torch.randint(len(vectors), (1,), generator=generator).to(vectors.device)
    seeds, distances = [drawn], torch.full_like(vectors[:, 0], torch.inf)
    count = 1
    while count < k:
        distances = torch.minimum(distances, nearest(vectors, vectors[drawn])[1])
        distances[drawn] = 0
        weights = distances.double().cpu()
        least = max(float(weights.max()) * LEAST_WEIGHT, torch.finfo(weights.dtype).tiny)
        size = min(max(1, count // ROUND), k - count)
        chosen = torch.multinomial(weights.clamp(min=least), size, generator=generator)
        drawn = chosen.to(vectors.device)
        seeds.append(drawn)
        count += size
    return vectors[torch.cat(seeds)]
