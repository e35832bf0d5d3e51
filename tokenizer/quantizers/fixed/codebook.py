"""A codebook that does not change after the start."""

import torch
from torch import Tensor

from tokenizer.quantizer_config import QuantizerConfig
from tokenizer.quantizers.base.quantizer import Quantizer

__all__ = ["FrozenCodebook", "StartedTogether"]


class FrozenCodebook(Quantizer):
    """A codebook that does not learn; gradients pass it by the straight-through estimator.

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
    """Levels that `start_levels` starts all together; a single level counts as a stack of one."""

    def start_from(self, z: Tensor, generator: torch.Generator) -> None:
        self.start_levels([self], z, generator)
