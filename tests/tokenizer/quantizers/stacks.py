"""Small levels and stacks, started from latents of 8 dimensions."""

import torch
from torch import Tensor

from tokenizer.model.residual import ResidualQuantizer
from tokenizer.quantizer_config import QuantizerConfig, variant_config
from tokenizer.quantizers import QUANTIZERS, Quantizer

__all__ = ["WIDTH", "config_of", "latents", "level_of", "stack_of"]

WIDTH = 8


def latents(count: int = 400) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(1)) * 5 + 1


def config_of(name: str, **changes: object) -> QuantizerConfig:
    """Return the configuration of three levels of 16 codewords."""
    small: dict[str, object] = {
        "levels": 3, "codebook_size": 16, "search_beam": 1, "crowded_choices": 1
    }  # fmt: skip
    if name == "grit":
        small["rank"] = 2
    return variant_config(name, **(small | changes))


def level_of(name: str, **changes: object) -> Quantizer:
    level = QUANTIZERS[name](config_of(name, **changes), WIDTH)
    level.start_from(latents(), torch.Generator().manual_seed(0))
    return level


def stack_of(name: str, **changes: object) -> ResidualQuantizer:
    config = config_of(name, **changes)
    stack = ResidualQuantizer([QUANTIZERS[name](config, WIDTH) for _ in range(config.levels)])
    stack.start_from(latents(), torch.Generator().manual_seed(0))
    return stack
