"""A codebook that stays as it was started."""

import torch
from torch import Tensor

from tokenizer.quantizer_config import QuantizerConfig
from tokenizer.quantizers.base.quantizer import Quantizer

__all__ = ["FrozenCodebook", "StartedTogether"]


class FrozenCodebook(Quantizer):
    """Straight-through gradients past a codebook that does not learn.

    Attributes:
        centres: (K, d), a buffer.
    """

    centres: Tensor

    def __init__(self, config: QuantizerConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.register_buffer("centres", torch.zeros(config.codebook_size, dimension))

    def codebook(self) -> Tensor:
        return self.centres

    def set_codewords(self, centres: Tensor) -> None:
        self.centres.copy_(centres)
        self._searched = None


class StartedTogether(FrozenCodebook):
    """Levels that `start_levels` starts all at once; one level is a stack of one."""

    def start_from(self, z: Tensor, generator: torch.Generator) -> None:
        self.start_levels([self], z, generator)
