"""Exact search for the nearest codeword, and beam search for the nearest sum of codewords."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "argmin",
    "extend_paths",
    "half_distances",
    "nearest",
    "nearest_codes",
    "search_paths",
]

CHUNK = 4096
MOST_SCORES = 1 << 25  # scores that a beam holds at once; 128 MiB in float32


def half_distances(vectors: Tensor, codewords: Tensor, half_norms: Tensor) -> Tensor:
    """Return ‖z − c‖²/2 − ‖z‖²/2 = ‖c‖²/2 − z·c, (n, K), for vectors (n, d) and codewords (K, d).

    Args:
        half_norms: (K,), ‖c‖²/2.
    """
    return torch.addmm(half_norms, vectors, codewords.T, alpha=-1)


def nearest_codes(vectors: Tensor, codewords: Tensor, half_norms: Tensor) -> Tensor:
    """Return the number (n,) of the codeword (K, d) nearest to each of the vectors (n, d).

    Args:
        half_norms: (K,), as `half_distances`.
    """
    return argmin(half_distances(vectors, codewords, half_norms))


def nearest(vectors: Tensor, codewords: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number (n,) of the nearest codeword and the squared distance (n,) to it."""
    codes, distances = [], []
    half_norms = codewords.square().sum(1) / 2
    for chunk in torch.split(vectors, CHUNK):
        gaps = half_distances(chunk, codewords, half_norms)
        index = argmin(gaps)
        best = gaps.gather(1, index.unsqueeze(1)).squeeze(1)
        codes.append(index)
        distances.append((2 * best + chunk.square().sum(1)).clamp(min=0))
    if not codes:
        return vectors.new_zeros(0, dtype=torch.long), vectors.new_zeros(0)
    return torch.cat(codes), torch.cat(distances)


def argmin(scores: Tensor) -> Tensor:
    """Return the column (n,) of each row's smallest score; the first one if several are equal.

    On a CPU NumPy's argmin is vectorised; torch's takes longer than the matrix product before it.
    """
    if scores.device.type == "cpu" and scores.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(scores.detach().numpy().argmin(1))
    return scores.argmin(1)


def search_paths(z: Tensor, codebooks: Sequence[Tensor], beam: int) -> Tensor:
    """Return codes (n, L) whose codewords add up to near the vectors (n, d).

    After each level the search keeps the `beam` sums nearest to the vector; 1 is the greedy search.

    Args:
        codebooks: the codebook (K, d) of each level.
    """
    residuals, distances = z.unsqueeze(1), z.new_zeros(len(z), 1)
    codes = torch.zeros(len(z), 1, 0, dtype=torch.long, device=z.device)
    for level, codebook in enumerate(codebooks, start=1):
        keep = 1 if level == len(codebooks) else beam
        residuals, distances, chosen = extend_paths(residuals, distances, codebook, keep)
        parents = chosen.div(len(codebook), rounding_mode="floor")
        kept = codes.gather(1, parents.unsqueeze(2).expand(-1, -1, codes.shape[2]))
        codes = torch.cat([kept, (chosen % len(codebook)).unsqueeze(2)], dim=2)
    return codes[:, 0]


def extend_paths(
    residuals: Tensor, distances: Tensor, codebook: Tensor, beam: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Add one level to paths, and keep the `beam` continuations nearest to each vector.

    Args:
        residuals: (n, b, d), the residuals of b paths for each of n vectors.
        distances: (n, b), half the residuals' squared lengths minus half the vector's.
        codebook: (K, d).

    Returns:
        residuals (n, beam, d) and distances (n, beam) of the kept paths, nearest first, and the
            numbers path · K + code (n, beam) of these paths.
    """
    half_norms = codebook.square().sum(1) / 2
    # A power of two divides a block into equal parts, so that a row's place in it changes no bits.
    rows = 1 << max(0, (MOST_SCORES // (residuals.shape[1] * len(codebook))).bit_length() - 1)
    parts = [
        _extend(part, before, codebook, half_norms, beam)
        for part, before in zip(
            torch.split(residuals, rows), torch.split(distances, rows), strict=True
        )
    ]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _extend(
    residuals: Tensor, distances: Tensor, codebook: Tensor, half_norms: Tensor, beam: int
) -> tuple[Tensor, Tensor, Tensor]:
    count, paths, width = residuals.shape
    products = torch.addmm(half_norms, residuals.flatten(0, 1), codebook.T, alpha=-1)
    scores = (products.view(count, paths, len(codebook)) + distances.unsqueeze(2)).flatten(1)
    best, chosen = scores.topk(min(beam, scores.shape[1]), dim=1, largest=False)
    parents = chosen.div(len(codebook), rounding_mode="floor")
    kept = residuals.gather(1, parents.unsqueeze(2).expand(-1, -1, width))
    return kept - codebook[chosen % len(codebook)], best, chosen


def _joined(parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    residuals, distances, chosen = zip(*parts, strict=True)
    return torch.cat(residuals), torch.cat(distances), torch.cat(chosen)
