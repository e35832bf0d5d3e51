"""FAISS's residual quantizer: codebooks trained jointly by beam search, then frozen."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tokenizer.quantizers.base.clustering import rows_of_few
from tokenizer.quantizers.base.quantizer import START_ROWS_PER_CODEWORD, Quantizer
from tokenizer.quantizers.fixed.codebook import StartedTogether

__all__ = ["FaissResidualQuantizer"]


class FaissResidualQuantizer(StartedTogether):
    """The codebooks of `faiss.ResidualQuantizer`, trained with `BEAM` paths, FAISS's default.

    Coding keeps `search_beam` paths, like every variant that chooses by distance.
    """

    BEAM = 5
    binary = True

    @classmethod
    @torch.no_grad()
    def start_levels(
        cls, levels: Sequence[Quantizer], z: Tensor, generator: torch.Generator
    ) -> None:
        """Start a stack from latents (n, d); if n < d, the latents are repeated.

        If at most K are distinct, they are the first codebook, and later levels add nothing.
        """
        few = rows_of_few(z, levels[0].codebook_size)
        if few is not None:
            for index, level in enumerate(levels):
                level.set_codewords(torch.zeros_like(few) if index else few)
            return
        import faiss

        size, width = levels[0].codebook_size, z.shape[1]
        most = START_ROWS_PER_CODEWORD * size
        rows = torch.randperm(len(z), generator=generator)[:most]
        rows = rows[torch.arange(max(len(rows), width)) % len(rows)]
        vectors = np.ascontiguousarray(z.float().cpu()[rows].numpy())
        quantizer = faiss.ResidualQuantizer(width, len(levels), (size - 1).bit_length())
        quantizer.max_beam_size = cls.BEAM
        quantizer.cp.min_points_per_centroid = 1  # no warning about few points
        quantizer.cp.seed = int(torch.randint(2**31 - 1, (1,), generator=generator))
        quantizer.train(vectors)
        books = faiss.vector_to_array(quantizer.codebooks).reshape(len(levels), size, width)
        for level, book in zip(levels, books, strict=True):
            level.set_codewords(torch.from_numpy(book).to(z))
