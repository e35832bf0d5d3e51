"""Optimized product quantization (Ge et al., CVPR 2013): a rotation before the subspaces."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenizer.quantizers.base.clustering import kmeans
from tokenizer.quantizers.base.search import nearest
from tokenizer.quantizers.fixed.pq import ProductQuantizer

__all__ = ["OptimizedProductQuantizer", "learn_rotation"]

ROTATIONS = 20


class OptimizedProductQuantizer(ProductQuantizer):
    """Product quantization after a rotation that lowers its error (Ge et al., CVPR 2013).

    The codewords include the rotation: they add up to the vector before it is rotated.
    """

    @classmethod
    def rotation(
        cls, z: Tensor, slices: Sequence[Tensor], codebook_size: int, generator: torch.Generator
    ) -> Tensor:
        return learn_rotation(z, slices, codebook_size, generator)


def learn_rotation(
    z: Tensor, slices: Sequence[Tensor], codebook_size: int, generator: torch.Generator
) -> Tensor:
    """Return an orthogonal (d, d) that lowers the product quantization error of z (n, d).

    It starts from the principal directions, dealt to the slices so that the products of their
    variances are similar. Two steps then alternate: one step of k-means in each slice, and the best
    rotation onto the decoded vectors. Neither step raises the error. `faiss.OPQMatrix` does the
    same, but only for slices of equal width and 2^b codewords.
    """
    rotation = _dealt_directions(z, slices)
    books = [kmeans((z @ rotation)[:, part], codebook_size, generator) for part in slices]
    decoded = torch.empty_like(z)
    for _ in range(ROTATIONS):
        turned = z @ rotation
        for part, book in zip(slices, books, strict=True):
            codes = nearest(turned[:, part], book)[0]
            counts = torch.bincount(codes, minlength=codebook_size).unsqueeze(1)
            sums = torch.zeros_like(book).index_add_(0, codes, turned[:, part])
            book.copy_(torch.where(counts > 0, sums / counts.clamp(min=1), book))
            decoded[:, part] = book[codes]
        left, _, right = torch.linalg.svd((z.T @ decoded).double())
        rotation = (left @ right).to(z)
    return rotation


def _dealt_directions(z: Tensor, slices: Sequence[Tensor]) -> Tensor:
    """Return the principal directions; each goes to the slice with the smallest product so far."""
    centred = (z - z.mean(0)).double()
    variances, directions = torch.linalg.eigh(centred.T @ centred)
    logs = (variances / variances.max().clamp(min=1e-300)).clamp(min=1e-12).log()
    weights = (logs - logs.min()).tolist()
    dealt: list[list[int]] = [[] for _ in slices]
    for index in reversed(range(len(weights))):  # the largest variance first
        room = [i for i, part in enumerate(slices) if len(dealt[i]) < len(part)]
        dealt[min(room, key=lambda i: sum(weights[j] for j in dealt[i]))].append(index)
    order = [index for part in dealt for index in part]
    dealt_directions: Tensor = directions[:, order].to(z)
    return dealt_directions
