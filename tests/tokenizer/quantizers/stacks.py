"""Small levels and stacks, started from latents of 8 dimensions."""

from dataclasses import replace

import torch
from torch import Tensor

from tokenizer.config import QuantizerConfig
from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizers import QUANTIZERS, Quantizer

__all__ = ["WIDTH", "latents", "level_of", "stack_of"]

WIDTH = 8
CONFIG = QuantizerConfig(levels=3, codebook_size=16, rank=2)


def latents(count: int = 400) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(1)) * 5 + 1


def level_of(name: str, **changes: object) -> Quantizer:
    level = QUANTIZERS[name](replace(CONFIG, name=name, **changes), WIDTH)  # type: ignore[arg-type]
    level.start_from(latents(), torch.Generator().manual_seed(0))
    return level


def stack_of(name: str, **changes: object) -> ResidualQuantizer:
    config = replace(CONFIG, name=name, **changes)  # type: ignore[arg-type]
    stack = ResidualQuantizer([QUANTIZERS[name](config, WIDTH) for _ in range(config.levels)])
    stack.start_from(latents(), torch.Generator().manual_seed(0))
    return stack
