"""What a search benchmark measures: its cells, in the order in which they run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recsys.benchmarks.amazon import tokenizer_name
from recsys.benchmarks.cells import Cell
from recsys.benchmarks.search.methods import BASELINES, FUSIONS, quantized
from recsys.search.presets import SearchPreset
from tokenizer.config import FitConfig

__all__ = ["SearchPlan", "cells_of"]


@dataclass(frozen=True)
class SearchPlan:
    """What a search benchmark measures.

    Attributes:
        models: names of baselines, models and fusions; fusions come last, whatever their place.
        tokenizers: one configuration each; all are fitted with seed 0.
        seeds: how many trainings of each model.
    """

    preset: SearchPreset
    models: tuple[str, ...]
    tokenizers: tuple[FitConfig, ...]
    seeds: int = 1
    device: str = "cpu"


def cells_of(
    plan: SearchPlan, category: str, *, train: bool = True
) -> Iterator[tuple[Cell, FitConfig | None]]:
    """Yield the cells of a data set, and the tokenizer of each that reads codes.

    Args:
        train: False for those alone that need no training.
    """
    models = [name for name in plan.models if train or name in BASELINES]
    for model in sorted(models, key=lambda name: name in FUSIONS):
        configs: Sequence[FitConfig | None] = plan.tokenizers if quantized(model) else [None]
        parts = FUSIONS.get(model, (model,))
        seeds = 1 if all(part in BASELINES for part in parts) else plan.seeds
        for config in configs:
            tokenizer = "" if config is None else tokenizer_name(config)
            for seed in range(seeds):
                yield Cell(category, model, tokenizer, seed), config
