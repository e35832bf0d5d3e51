"""Choices by validation alone: dropout and learning rate, the same search for every model."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product, takewhile
from pathlib import Path
from typing import Any, Self

import torch

from data_prep.errors import InputError
from data_prep.storage.files import written_aside
from data_prep.storage.record import run_record
from recsys.benchmarks.cells import Cell
from recsys.data.dataset import SequenceDataset
from recsys.presets import Model, Preset
from recsys.shapes import build_model, plain_shape, with_dropout
from recsys.training.loop import train

__all__ = ["GRID", "Choices", "changed", "finalists", "run_trial"]

# The same budget for every model.
GRID: tuple[dict[str, float], ...] = tuple(
    {"learning_rate": rate, "dropout": dropout}
    for rate, dropout in product((2e-3, 4e-3), (0.3, 0.5))
)


def changed(model: Model, options: Mapping[str, float]) -> Model:
    """Return a model with another learning rate and dropout.

    Args:
        options: `learning_rate`, `dropout`.
    """
    return Model(
        with_dropout(model.shape, options["dropout"]),
        replace(model.training, learning_rate=options["learning_rate"]),
    )


def run_trial(
    folder: Path,
    cell: Cell,
    preset: Preset,
    options: Mapping[str, float],
    dataset: SequenceDataset,
    device: str = "cpu",
) -> dict[str, Any]:
    """Return the record of one training of a search; train only if the folder has none.

    The record has the best state's validation metrics and none of the test.

    Args:
        folder: receives search/NAME.json.
    """
    named = "-".join(f"{name}{value:g}" for name, value in options.items())
    path = folder / "search" / f"{cell.name}-{named}.json"
    model = preset.model(cell.model)
    model = changed(replace(model, training=replace(model.training, seed=cell.seed)), options)
    config = {"shape": plain_shape(model.shape), "training": asdict(model.training)}
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text())
        if (kept["config"], kept["data"]) == (config, dataset.fingerprint):
            return kept
    started = time.perf_counter()
    found = train(
        lambda: build_model(model.shape, dataset).to(torch.device(device)), dataset, model.training
    )
    record = {
        "cell": asdict(cell),
        "options": dict(options),
        "config": config,
        "data": dataset.fingerprint,
        "monitor": found.best.validation[model.training.candidates][model.training.monitor],
        "validation": found.best.validation,
        "best_epoch": found.best.epoch,
        "record": run_record(cell.seed, dataset.source, time.perf_counter() - started),
    }
    with written_aside(path) as aside:
        aside.write_text(json.dumps(record, indent=2) + "\n")
    return record


@dataclass(frozen=True)
class Choices:
    """The best options of each searched model, by its name."""

    options: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, trials: Sequence[Mapping[str, Any]]) -> Self:
        """Choose the options of the highest monitored validation metric of each model."""
        best: dict[str, Mapping[str, Any]] = {}
        for trial in trials:
            name = trial["cell"]["model"]
            if name not in best or trial["monitor"] > best[name]["monitor"]:
                best[name] = trial
        return cls({name: trial["options"] for name, trial in best.items()})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            InputError: there is no such file, or it is damaged.
        """
        try:
            return cls(json.loads(path.read_text()))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} has no choices: {error}; run the search again") from error

    def write(self, path: Path) -> None:
        """Write the choices as JSON."""
        with written_aside(path) as aside:
            aside.write_text(json.dumps(self.options, indent=2) + "\n")

    def applied(self, preset: Preset, name: str) -> Preset:
        """Return a preset in which a model has its chosen options, or those of its kin.

        A model that was not searched takes the options of the searched model whose name has the
        most first words in common with its own; without any in common the preset stays.
        """
        kin = max(self.options, key=lambda known: _common_words(known, name), default="")
        if not _common_words(kin, name):
            return preset
        model = changed(preset.model(name), self.options[kin])
        return replace(preset, models={**preset.models, name: model})


def _common_words(first: str, second: str) -> int:
    """Return how many words two names joined by hyphens begin with together."""
    pairs = zip(first.split("-"), second.split("-"), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def finalists(records: Sequence[Mapping[str, Any]], count: int) -> tuple[str, ...]:
    """Return the best tokenizers of some cells, the best first.

    Args:
        records: of one seed, as `run_cell` returns them; those without tokenizer do not count.
        count: how many; 0 for all.

    Returns:
        The tokenizers of the highest monitored validation metric, averaged over categories.
    """
    found: dict[str, list[float]] = {}
    for record in records:
        if not record["cell"]["tokenizer"] or "validation" not in record:
            continue
        training = record["config"]["training"]
        value = record["validation"][training["candidates"]][training["monitor"]]
        found.setdefault(record["cell"]["tokenizer"], []).append(value)
    ranked = sorted(found, key=lambda name: -statistics.fmean(found[name]))
    return tuple(ranked[: count or None])
