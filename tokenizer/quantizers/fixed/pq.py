"""Product quantization: each level codes a subspace of its own; codebooks stay as they start."""

from collections.abc import Sequence

import torch
from torch import Tensor

from data_prep.errors import InputError
from tokenizer.quantizer_config import QuantizerConfig
from tokenizer.quantizers.base.quantizer import Quantizer
from tokenizer.quantizers.fixed.codebook import StartedTogether

__all__ = ["ProductQuantizer"]


class ProductQuantizer(StartedTogether):
    """Level l codes a slice of the dimensions; its codewords are 0 in the other dimensions.

    The slices are as equal as L allows. Subspaces are orthogonal: the codeword nearest to the
    vector is also the nearest one in the subspace, and the levels' codewords add up to the vector.

    Raises:
        InputError: there are fewer dimensions than levels.
    """

    parallel = True

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        if config.levels > dimension:
            raise InputError(
                f"{config.name}: {config.levels} levels need as many dimensions, the latent has "
                f"{dimension}; choose a latent of {config.levels} or more, or fewer levels"
            )

    @classmethod
    @torch.no_grad()
    def start_levels(
        cls, levels: Sequence[Quantizer], z: Tensor, generator: torch.Generator
    ) -> None:
        slices = torch.arange(z.shape[1], device=z.device).tensor_split(len(levels))
        rotation = cls.rotation(z, slices, levels[0].codebook_size, generator)
        turned = z @ rotation
        for level, part in zip(levels, slices, strict=True):
            book = z.new_zeros(level.codebook_size, z.shape[1])
            book[:, part] = level.start_rows(turned[:, part], generator)
            level.set_codewords(book @ rotation.T)

    @classmethod
    def rotation(
        cls, z: Tensor, slices: Sequence[Tensor], codebook_size: int, generator: torch.Generator
    ) -> Tensor:
        """Return the orthogonal (d, d) whose columns are split into slices; here the identity."""
        return torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
