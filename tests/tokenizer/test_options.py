"""Configurations from options: defaults that fit the codebook's size, and values that stay."""

import pytest

from tokenizer.config import FitConfig
from tokenizer.options import fitted_configs
from tokenizer.quantizer_config import GritConfig


def _config(quantizer: str, **options: object) -> FitConfig:
    [config] = fitted_configs([quantizer], options)
    return config


@pytest.mark.parametrize(
    ("size", "choices", "rank", "top_k"),
    [
        (2, 1, 2, 2),
        (8, 2, 8, 8),
        (32, 8, 16, 8),
        (64, 16, 16, 8),
        (256, 16, 16, 8),
        (4096, 16, 16, 8),
    ],
)
def test_defaults_fit_the_codebooks_size(size: int, choices: int, rank: int, top_k: int) -> None:
    found = _config("grit", codebook_size=size).quantizer
    assert isinstance(found, GritConfig)
    assert (found.crowded_choices, found.rank, found.top_k) == (choices, rank, top_k)
    assert _config("ste", codebook_size=size).quantizer.crowded_choices == choices


def test_what_the_user_sets_stays() -> None:
    found = _config("grit", codebook_size=32, crowded_choices=12, rank=3).quantizer
    assert isinstance(found, GritConfig)
    assert (found.crowded_choices, found.rank) == (12, 3)
