"""Beam search with one product a vector, and look-ups for what the paths change.

Half the squared length of what a path c₁ … c_l leaves of a vector z, less half that of z itself, is

    Σ_l (‖c_l‖²/2 − z·c_l) + Σ_{j<l} c_j·c_l.

The first sum needs one product of z with all codebooks, whatever the paths are. The second is
looked up in tables of the codewords' inner products (as FAISS's residual quantizer can do).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from tokenizer.quantizers.base.search import argmin, half_distances

__all__ = ["PathTables", "tables_fit"]

MOST_NUMBERS = 1 << 23  # numbers in the tables; 32 MiB in float32


def tables_fit(levels: int, codebook_size: int) -> bool:
    """Return whether the tables of so many levels are small enough to be worth their memory."""
    return codebook_size**2 * levels * (levels - 1) // 2 <= MOST_NUMBERS


class PathTables:
    """The inner products of the codewords of L levels, each with K codewords of d numbers."""

    def __init__(self, codebooks: Sequence[Tensor]) -> None:
        """Make the tables of codebooks (K, d)."""
        self.codebooks = tuple(codebooks)
        self.size = len(codebooks[0])
        self._codewords = torch.cat(self.codebooks)
        self._half_norms = self._codewords.square().sum(1) / 2
        starts = torch.arange(len(codebooks), device=self._codewords.device) * self.size
        self._starts = starts
        # For level l the products (l·K, K) of all earlier levels' codewords with its own.
        self._tables = [
            self._codewords[: level * self.size] @ codebook.T
            for level, codebook in enumerate(codebooks)
        ]

    def are_of(self, codebooks: Sequence[Tensor]) -> bool:
        """Return whether these are the very codebooks that the tables were made of."""
        return len(codebooks) == len(self.codebooks) and all(
            old is new for old, new in zip(self.codebooks, codebooks, strict=True)
        )

    def products(self, z: Tensor) -> Tensor:
        """Return ‖c‖²/2 − z·c (n, L · K) for the vectors (n, d) and all codewords."""
        return half_distances(z, self._codewords, self._half_norms)

    def search(self, products: Tensor, beam: int) -> Tensor:
        """Return codes (n, L) whose codewords add up to near the vectors of `products`.

        After each level the search keeps the `beam` sums nearest to the vector.
        """
        codes = torch.zeros(len(products), 1, 0, dtype=torch.long, device=products.device)
        distances = products.new_zeros(len(products), 1)
        for level in range(len(self.codebooks)):
            scores = self.continued(products, codes).add_(distances.unsqueeze(2)).flatten(1)
            if level + 1 == len(self.codebooks):
                chosen = argmin(scores).unsqueeze(1)
            else:
                kept = min(beam, scores.shape[1])
                distances, chosen = scores.topk(kept, dim=1, largest=False)
            parents = chosen.div(self.size, rounding_mode="floor")
            before = codes.gather(1, parents.unsqueeze(2).expand(-1, -1, level))
            codes = torch.cat([before, (chosen % self.size).unsqueeze(2)], dim=2)
        return codes[:, 0]

    def continued(self, products: Tensor, codes: Tensor) -> Tensor:
        """Return what each codeword of the next level adds to the paths' scores, (n, b, K).

        Args:
            codes: (n, b, l), of b paths over the first l levels.
        """
        count, paths, level = codes.shape
        own = products.view(count, len(self.codebooks), self.size)[:, level].unsqueeze(1)
        if not level:
            return own.expand(-1, paths, -1).clone()
        rows = (codes + self._starts[:level]).flatten(0, 1)
        added = embedding_bag(rows, self._tables[level], mode="sum")
        return added.view(count, paths, self.size).add_(own)
