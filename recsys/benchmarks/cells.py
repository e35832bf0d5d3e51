"""One cell of a benchmark: a model, a dataset and a seed; trained, measured and kept as a record.

This module needs torch, numpy and safetensors alone, so that a machine with an accelerator can run
cells on prepared files: `python -m recsys.benchmarks DATASET… --model tiger --out DIR`.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_prep.errors import InputError
from data_prep.storage.files import written_aside
from data_prep.storage.record import run_record
from recsys.data.dataset import SequenceDataset
from recsys.evaluation.full_ranking import CANDIDATES, RankingQuality, evaluate
from recsys.models.baselines import BASELINES, CODED_BASELINES, CONTENT_BASELINES, baseline
from recsys.presets import Model, Preset
from recsys.shapes import build_model, plain_shape, shape_of
from recsys.training.config import TrainingConfig
from recsys.training.loop import Measurement, train

__all__ = ["CONTENT", "Cell", "dataset_read", "run_cell"]

CONTENT = "content"  # stands for a tokenizer in the name of the dataset with content vectors

Progress = Callable[[int, int, Measurement | None], None]


@dataclass(frozen=True)
class Cell:
    """What tells a record from the others in its folder.

    Attributes:
        category: of the data, such as Beauty.
        model: a name of `recsys.presets`, or of `BASELINES`.
        tokenizer: gave the codes, such as `grit-4x256`; empty where the model reads no codes.
        cold: share of the items that have no event in training.
    """

    category: str
    model: str
    tokenizer: str = ""
    seed: int = 0
    cold: float = 0.0

    @property
    def name(self) -> str:
        """The name of the cell's files."""
        parts = [self.category, self.model, self.tokenizer]
        parts += [f"cold{self.cold:g}"] if self.cold else []
        return "-".join(part for part in [*parts, f"seed{self.seed}"] if part)


def dataset_read(preset: Preset, model: str, tokenizer: str) -> str:
    """Return which of a category's datasets a model reads: that of a tokenizer, or another.

    Returns:
        `tokenizer` if the model reads codes; `CONTENT` if it reads content vectors; else nothing.

    Raises:
        InputError: an unknown model.
    """
    if model in BASELINES:
        reads_codes, reads_content = model in CODED_BASELINES, model in CONTENT_BASELINES
    else:
        known = _model(Cell("", model), preset)
        assert known is not None
        reads_codes, reads_content = known.quantized, known.reads_content
    if reads_codes:
        return tokenizer
    return CONTENT if reads_content else ""


def run_cell(
    folder: Path,
    cell: Cell,
    preset: Preset,
    dataset: SequenceDataset,
    notes: dict[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    *,
    checkpoints: bool = True,
) -> dict[str, Any]:
    """Return the cell's record; train and measure only if the folder has no record of it yet.

    A record counts if it has the same data and configuration. A training that was stopped goes on
    from its last checkpoint.

    Args:
        folder: receives records/NAME.json, and ranks/NAME.npz with the rank of every user's item.
        dataset: with all training events; the share `cell.cold` of the items is held out here.
        notes: further entries of the record, such as the tokenizer's.
        checkpoints: whether training keeps checkpoints in `folder`.

    Raises:
        InputError: an unknown model; as `recsys.training.loop.train`; `folder` cannot be written.
    """
    path = folder / "records" / f"{cell.name}.json"
    model = _model(cell, preset)
    config = {} if model is None else _configuration(model)
    kept = _kept(path, folder, cell, config, dataset)
    if kept is not None:
        return kept
    started = time.perf_counter()
    data = dataset.without_training_events(cell.cold, seed=0) if cell.cold else dataset
    training = folder / "training" / cell.name if checkpoints else None
    found, figures = _measure(training, cell, model, data, device, progress)
    unseen = data.popularity[data.targets("test")] == 0
    record = {
        "cell": asdict(cell),
        "preset": preset.name,
        "config": config,
        "data": dataset.fingerprint,
        "users": data.n_users,
        "items": data.n_items,
        "metrics": {name: found.metrics(name) for name in CANDIDATES},
        "unseen_users": int(unseen.sum()),
        "unseen_items": int((data.popularity == 0).sum()),
        "unseen": {name: found.of(unseen).metrics(name) for name in CANDIDATES}
        if unseen.any()
        else {},
        **figures,
        **(notes or {}),
        "record": run_record(cell.seed, dataset.source, time.perf_counter() - started),
    }
    ranks = folder / "ranks" / f"{cell.name}.npz"
    with written_aside(ranks) as aside, aside.open("wb") as file:
        every, fresh = (found.ranks[name] for name in CANDIDATES)
        np.savez_compressed(file, all=every, without_history=fresh)
    with written_aside(path) as aside:
        aside.write_text(json.dumps(record, indent=2) + "\n")
    return record


def _model(cell: Cell, preset: Preset) -> Model | None:
    """Return the cell's model with its seed, None for a baseline."""
    if cell.model in BASELINES:
        return None
    if cell.model not in preset.models:
        known = ", ".join([*preset.models, *BASELINES])
        raise InputError(f"model {cell.model!r}; choose from {known}")
    model = preset.models[cell.model]
    return replace(model, training=replace(model.training, seed=cell.seed))


def _configuration(model: Model) -> dict[str, Any]:
    """Return what the record says of a model: its shape and training."""
    return {"shape": plain_shape(model.shape), "training": asdict(model.training)}


def _kept(
    path: Path, folder: Path, cell: Cell, config: dict[str, Any], dataset: SequenceDataset
) -> dict[str, Any] | None:
    """Return the record at `path` if it has this configuration and data, else None."""
    if not path.is_file() or not (folder / "ranks" / f"{cell.name}.npz").is_file():
        return None
    record: dict[str, Any] = json.loads(path.read_text())
    same = (
        _with_defaults(record.get("config")) == config and record.get("data") == dataset.fingerprint
    )
    return record if same else None


def _with_defaults(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a kept configuration with the defaults of the fields that were added since.

    None for what this version would train otherwise: before dual encoders had `transitions`, their
    nearness trained with the model.
    """
    if not config:
        return config
    kept = config.get("shape", {})
    if kept.get("kind") == "dual-encoder" and kept.get("nearness") and "transitions" not in kept:
        return None
    try:
        shape = plain_shape(shape_of(config["shape"]))
    except (InputError, TypeError, KeyError):
        return None
    return {"shape": shape, "training": asdict(TrainingConfig()) | config["training"]}


def _measure(
    folder: Path | None,
    cell: Cell,
    model: Model | None,
    data: SequenceDataset,
    device: str,
    progress: Progress | None,
) -> tuple[RankingQuality, dict[str, Any]]:
    if model is None:
        return evaluate(baseline(cell.model, data).scores, data, "test"), {}
    result = train(
        lambda: build_model(model.shape, data).to(torch.device(device)),
        data,
        model.training,
        folder,
        progress,
    )
    started = time.perf_counter()
    found = result.model.evaluate(data, "test")
    figures = {
        "parameters": sum(p.numel() for p in result.model.parameters()),
        "epochs": result.history[-1].epoch,
        "best_epoch": result.best.epoch,
        "validation": result.best.validation,
        "training_seconds": result.history[-1].seconds,
        "evaluation_seconds": round(time.perf_counter() - started, 2),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
    }
    return found, figures
