"""Tune all variants in the same way, by the error on validation items.

Every variant gets the same number of trials. Tuning varies the network's learning rate, the levels'
learning rate and one parameter of the variant's own. Trials are points of a scrambled Sobol
sequence; the first one is the defaults. They train for a third of the steps. If there are more than
nine, successive halving (arXiv 1502.07943) comes first: all of them train for a shorter time, and
the best third of each round goes on for three times as long.
"""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from data_prep.embedding.devices import full_precision
from data_prep.progress import Progress
from data_prep.storage.record import run_record, trained_on
from tokenizer.config import FitConfig
from tokenizer.options import check_training, fitted_to_size, with_options
from tokenizer.study.cells import Mapped
from tokenizer.study.items import StudyItems
from tokenizer.study.records import file_name, keep, kept, plain
from tokenizer.training.loop import train

__all__ = [
    "CODEBOOK_RATES",
    "NETWORK_RATES",
    "OWN_PARAMETER",
    "Range",
    "Trial",
    "Tuned",
    "points",
    "rounds",
    "space_of",
    "trial_count",
    "tune",
]

FACTOR = 3
MOST_LAST = 9  # trials of the last round
NETWORK_RATES = (3e-4, 1e-2)
CODEBOOK_RATES = (3e-4, 1e-1)


@dataclass(frozen=True)
class Range:
    """The values of an option: a range of numbers, even in their logarithm, or choices."""

    least: float = 0.0
    most: float = 0.0
    choices: tuple[object, ...] = ()

    def at(self, share: float) -> object:
        """Return the value at the relative position `share`, 0…1."""
        if self.choices:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        low, high = math.log(self.least), math.log(self.most)
        return float(f"{math.exp(low + share * (high - low)):.3g}")


_COMMITMENT = ("commitment", Range(0.05, 2.0))
# The one option of each variant's own. fsq and nsvq have none: all variants share `sum_weight`.
OWN_PARAMETER: Mapping[str, tuple[str, Range]] = {
    "diveq": ("noise_variance", Range(1e-5, 1e-1)),
    "ema": ("decay", Range(choices=(0.9, 0.95, 0.98, 0.99, 0.995, 0.999))),
    "grit": ("psi_max", Range(choices=(0.0, 0.25, 0.5, 0.75, 1.0))),
    "gumbel": _COMMITMENT,
    "hypervq": _COMMITMENT,
    "kmeans": _COMMITMENT,
    "lfq": ("entropy_weight", Range(1e-2, 1.0)),
    "lsh": _COMMITMENT,
    "opq": _COMMITMENT,
    "pq": _COMMITMENT,
    "rotation": _COMMITMENT,
    "rq_faiss": _COMMITMENT,
    "rqvae": _COMMITMENT,
    "sf_diveq": ("noise_variance", Range(1e-5, 1e-1)),
    "simvq": _COMMITMENT,
    "ste": _COMMITMENT,
    "wasserstein": ("wasserstein", Range(0.02, 10.0)),
}


@dataclass(frozen=True)
class Trial:
    """One short training of a tuning.

    Attributes:
        folder: keeps the record.
        name: name of the row that is tuned.
        options: what the trial changes.
    """

    folder: Path
    name: str
    config: FitConfig
    items: StudyItems
    device: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuned:
    """The result of a tuning.

    Attributes:
        config: the given one with the best options.
        options: the best options, by name; empty if the defaults were best.
        trials: one record for each trial, in the order of training.
    """

    config: FitConfig
    options: Mapping[str, object]
    trials: Sequence[Mapping[str, Any]]


def space_of(config: FitConfig) -> dict[str, Range]:
    """Return the ranges of the options that are tuned, by name."""
    space = {
        "learning_rate": Range(*NETWORK_RATES),
        "codebook_learning_rate": Range(*CODEBOOK_RATES),
    }
    if config.autoencoder.network == "identity":  # it has no parameters
        del space["learning_rate"]
    if config.quantizer.name in OWN_PARAMETER:
        name, values = OWN_PARAMETER[config.quantizer.name]
        space[name] = values
    return space


def trial_count(trials: int) -> int:
    """Return the number of trainings in all rounds if `trials` trials begin."""
    return sum(count for count, _ in rounds(trials))


def tune(
    folder: Path,
    name: str,
    items: StudyItems,
    config: FitConfig,
    trials: int,
    progress: Progress | None = None,
    device: str = "cpu",
    mapped: Mapped = map,
) -> Tuned:
    """Choose the options with which a configuration has the lowest error on validation items.

    Args:
        folder: keeps each trial's record in `trials/NAME-….json`, so that none is made again.
        name: name of the row that is tuned.
        config: the configuration to tune. `steps` is the length of the winner's training; trials
            take a third or a ninth of it, by round.
        trials: number of trials in the first round; 1 keeps the defaults.
        device: where trials train; a trial whose record has another device is made again.
        mapped: makes the trials of one round; `map` makes one after the other.
    """
    alive = points(space_of(config), trials, config.seed)
    records: list[Mapping[str, Any]] = []
    for count, share in rounds(trials):
        steps = max(1, round(config.steps * share))
        tried = [
            Trial(
                folder, name, replace(_with(config, options), steps=steps), items, device, options
            )
            for options in alive[:count]
        ]
        scored: list[tuple[float, int, Mapping[str, object]]] = []
        for trial, record in zip(tried, mapped(make_trial, tried), strict=True):
            records.append(record)
            error = record["validation_error"]
            scored.append((math.inf if error is None else error, len(scored), trial.options))
            if progress is not None:
                progress(1)
        alive = [options for _, _, options in sorted(scored, key=lambda entry: entry[:2])]
    return Tuned(_with(config, alive[0]), alive[0], records)


def make_trial(trial: Trial) -> Mapping[str, Any]:
    """Return a trial's record; train only if there is none yet. Held-out items stay unseen."""
    config, items = trial.config, trial.items
    path = trial.folder / "trials" / f"{file_name(trial.name)}-{_key(config)}.json"
    found = kept(path, config, items.fingerprint, items.digest, trial.device)
    if found is not None:
        return found
    full_precision()
    started = time.perf_counter()
    error: float | None = None
    step = 0
    try:
        best = train(items.on(trial.device), config).best
        error, step = best.validation_error, best.step
    except FloatingPointError:
        pass  # the rates are too high for the variant; a trial without an error ranks last
    seconds = round(time.perf_counter() - started, 2)
    record = {
        "name": trial.name,
        "options": dict(trial.options),
        "steps": config.steps,
        "validation_error": error,
        "best_step": step,
        "seconds": seconds,
        "config": plain(config),
        "trained_on": trained_on(trial.device),
        "vectors": items.digest,
        "record": run_record(config.seed, items.fingerprint, seconds),
    }
    keep(path, record)
    return record


def rounds(trials: int) -> list[tuple[int, float]]:
    """Return the number of trials and the share of the steps of each round; the last is a third."""
    counts = [trials] if trials > 1 else []
    while counts and counts[-1] > MOST_LAST:
        counts.append(math.ceil(counts[-1] / FACTOR))
    return [(count, FACTOR ** (i - len(counts))) for i, count in enumerate(counts)]


def points(space: Mapping[str, Range], trials: int, seed: int) -> list[Mapping[str, object]]:
    """Return the options of each trial; the first trial has none: the defaults."""
    sobol: Any = torch.quasirandom.SobolEngine  # has no type annotations
    sobol = sobol(len(space), scramble=True, seed=seed)
    drawn = sobol.draw(max(trials - 1, 1)).tolist()[: trials - 1]
    found: list[Mapping[str, object]] = [
        {name: values.at(share) for (name, values), share in zip(space.items(), row, strict=True)}
        for row in drawn
    ]
    return [{}, *found]


def _with(config: FitConfig, options: Mapping[str, object]) -> FitConfig:
    changed = fitted_to_size(with_options(config, options))
    check_training(changed)
    return changed


def _key(config: FitConfig) -> str:
    return hashlib.sha256(json.dumps(plain(config), sort_keys=True).encode()).hexdigest()[:12]
