"""A dataset → a trained and tested recommender, chosen by the names of a model and a preset."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError

from data_prep.errors import InputError
from data_prep.storage.record import run_record
from recsys.data.dataset import SequenceDataset
from recsys.evaluation.full_ranking import RankingQuality
from recsys.presets import Model, preset_named
from recsys.recommender import FrozenRecommender, freeze_recommender
from recsys.shapes import build_model
from recsys.training.config import TrainingConfig
from recsys.training.loop import Measurement, train

__all__ = ["configured", "figures", "fit"]


def configured(model: str, preset: str, seed: int, options: Mapping[str, object]) -> Model:
    """Return the shape and the training of a model in a preset.

    Args:
        options: fields of `recsys.training.config.TrainingConfig`; a text is read as the field's
            type.

    Raises:
        InputError: a model, preset or field is unknown, or the field cannot have the value.
    """
    chosen = preset_named(preset).model(model)
    return replace(chosen, training=replace(_changed(chosen.training, options), seed=seed))


def fit(
    name: str,
    chosen: Model,
    dataset: SequenceDataset,
    device: str = "cpu",
    folder: Path | None = None,
    progress: Callable[[int, int, Measurement | None], None] | None = None,
    stage: Callable[[str], None] | None = None,
) -> tuple[FrozenRecommender, RankingQuality] | None:
    """Train a model, keep its best state by validation, and test it.

    Args:
        name: name of the model, for its metrics.
        folder: keeps the state of a stopped training; the next one resumes from it.
        progress, stage: as `recsys.training.loop.train`; a further stage is the test.

    Returns:
        The recommender and its ranking quality on the test items; None in all but the first of
            torchrun's processes.

    Raises:
        InputError: the dataset lacks the codes or vectors that the model reads.
    """
    result = train(
        lambda: build_model(chosen.shape, dataset).to(torch.device(device)),
        dataset,
        chosen.training,
        folder,
        progress,
        stage,
    )
    if int(os.environ.get("RANK", "0")):
        return None
    if stage is not None:
        stage("ranking all items for every user")
    found = result.model.evaluate(dataset, "test")
    metrics = {
        "model": name,
        "test": figures(found),
        "validation": result.best.validation,
        "epochs": result.history[-1].epoch,
        "best_epoch": result.best.epoch,
        "training": asdict(chosen.training),
        "data": dataset.fingerprint,
        "record": run_record(chosen.training.seed, dataset.fingerprint, result.history[-1].seconds),
    }
    return freeze_recommender(chosen.shape, result.model, dataset, metrics), found


def figures(found: RankingQuality) -> dict[str, dict[str, float]]:
    """Return the metrics as plain values, by candidate set."""
    return {name: found.metrics(name) for name in found.ranks}


def _changed(training: TrainingConfig, given: Mapping[str, object]) -> TrainingConfig:
    fields = asdict(training)
    if "seed" in given:
        raise InputError("option seed: give it as the seed, not among the options")
    unknown = sorted(set(given).difference(fields))
    if unknown:
        raise InputError(f"option {unknown[0]}: no such field; there are {', '.join(fields)}")
    try:
        return TypeAdapter(type(training)).validate_python(fields | dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"option {first['loc'][0]}: {first['msg']}") from error
