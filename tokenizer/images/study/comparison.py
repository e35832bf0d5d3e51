"""Run studies: variants tuned alike and compared, or rows of options side by side."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from safetensors.torch import save_file

from data_prep.errors import InputError
from data_prep.progress import Progress
from data_prep.storage.files import written_aside
from data_prep.storage.record import trained_on
from tokenizer.images.config import ImageConfig
from tokenizer.images.data.device_images import load_images, save_images
from tokenizer.images.data.reading import ImageSet
from tokenizer.images.model.autoencoder import halvings
from tokenizer.images.model.classifier import accuracy, train_classifier
from tokenizer.images.options import check_images, with_image_options
from tokenizer.images.study.cells import Cell, Place, run_cell
from tokenizer.study.cells import Mapped
from tokenizer.study.tuning import (
    CODEBOOK_RATES,
    NETWORK_RATES,
    OWN_PARAMETER,
    Range,
    points,
    rounds,
)

__all__ = [
    "Rows",
    "Source",
    "check_fits",
    "compare_images",
    "prepared",
    "run_rows",
    "tune_rows",
    "work_of",
]

Rows = Mapping[str, ImageConfig]
Result = TypeVar("Result")
CLASSIFIERS = {"critic": 0, "judge": 1}  # roles and seeds
NAME_OF_ROWS = "rows.json"


@dataclass(frozen=True)
class Source:
    """Images, and how they are split and judged.

    Attributes:
        held_out: share of the images that do not train: half validate, half are only reported.
        classifier_steps: steps of each classifier's training.
    """

    images: ImageSet
    held_out: float
    classifier_steps: int


@contextmanager
def prepared(source: Source, out: Path, device: str, mapped: Mapped) -> Iterator[Place]:
    """Write the images for all processes, and train the two classifiers that `out` lacks."""
    with TemporaryDirectory() as kept:
        save_images(Path(kept), source.images)
        digest = f"{source.images.digest}-{source.held_out:g}-{source.classifier_steps}"
        place = Place(out, Path(kept), digest, source.held_out, device)
        missing = [role for role in CLASSIFIERS if _accuracy_kept(place, role) is None]
        _made(partial(_classify, place, source.classifier_steps), missing, mapped)
        yield place


def check_fits(images: ImageSet, held_out: float, config: ImageConfig) -> list[str]:
    """Check that images can train an image tokenizer as configured, and return warnings.

    Raises:
        InputError: the grid does not divide the images, a level has more codewords than the
            training images have positions, or no images would be held out.
    """
    check_images(config)
    halvings(images.pixels.shape[-1], config.network)
    count, size = len(images.pixels), config.quantizer.codebook_size
    training = count - 2 * max(1, round(count * held_out / 2))
    if not held_out or training < 1:
        raise InputError(f"held_out {held_out} leaves no images to train, or none to measure")
    latents = training * config.network.grid**2
    if latents < size:
        raise InputError(
            f"codebook_size {size} is more than the {latents} latents of {training} training "
            f"images; give more images, a finer grid, or fewer codewords"
        )
    if count < size:
        return [f"{count} images are fewer than the {size} codewords of a level"]
    return []


def compare_images(
    place: Place,
    rows: Rows,
    trials: int,
    seeds: int,
    best: int,
    mapped: Mapped,
    progress: Progress | None = None,
) -> None:
    """Tune all rows alike, train each with seed 0, and the best ones with further seeds.

    The loss on validation images chooses. Tables and pictures are made of what this writes to
    `place.out`/compare (`tokenizer.images.study.tables`).

    Args:
        trials: trials that begin for each row; 1 takes the rows as they are.
        seeds: seeds of the best rows.
        best: how many rows get further seeds.
    """
    tuned = tune_rows(place, rows, trials, mapped, progress)
    first = {name: [replace(config, seed=0)] for name, config in tuned.items()}
    _write_rows(place, "compare", first)
    make = partial(run_cell, place)
    records = _made(make, [Cell(configs[0]) for configs in first.values()], mapped, progress)
    losses = {name: _loss(record) for name, record in zip(first, records, strict=True)}
    chosen = sorted(losses, key=losses.__getitem__)[:best]
    every = {
        name: [replace(config, seed=seed) for seed in range(seeds if name in chosen else 1)]
        for name, config in tuned.items()
    }
    _write_rows(place, "compare", every)
    more = [Cell(config) for configs in every.values() for config in configs[1:]]
    records += _made(make, more, mapped, progress)
    check_all_done(records)


def run_rows(
    place: Place,
    studies: Mapping[str, Rows],
    seeds: int,
    mapped: Mapped,
    progress: Progress | None = None,
    *,
    weights: bool = False,
) -> None:
    """Train the rows of studies; what is written to `place.out`/STUDY makes their tables.

    Args:
        weights: whether the models are kept, too.
    """
    records = []
    for seed in range(seeds):  # all rows with one seed before any with another
        cells: dict[Path, Cell] = {}
        for study, rows in studies.items():
            done = {
                name: [replace(config, seed=each) for each in range(seed + 1)]
                for name, config in rows.items()
            }
            _write_rows(place, study, done)
            for configs in done.values():
                cells[Cell(configs[-1]).path(place)] = Cell(configs[-1])
        make = partial(run_cell, place, weights=weights)
        records += _made(make, list(cells.values()), mapped, progress)
    check_all_done(records)


def _made(
    make: Callable[[Any], Result],
    cells: Sequence[Any],
    mapped: Mapped,
    progress: Progress | None = None,
) -> list[Result]:
    """Return what `make` makes of the cells, in their order.

    Raises:
        InputError: a process ended, most likely for want of memory.
    """
    found = []
    try:
        for result in mapped(make, cells):
            found.append(result)
            if progress is not None:
                progress(cells[len(found) - 1].work)
    except BrokenProcessPool as error:
        raise InputError(
            "a process ended, most likely for want of memory; start the same command with fewer "
            "--jobs, and it goes on"
        ) from error
    return found


def check_all_done(records: Sequence[Mapping[str, Any]]) -> None:
    """Check that no cell stopped for want of something.

    Raises:
        InputError: cells stopped; what the others found is kept.
    """
    reasons = [record["stopped"] for record in records if "stopped" in record]
    if reasons:
        raise InputError(
            f"{len(reasons)} of {len(records)} runs stopped, the first by {reasons[0]}; the others "
            f"are kept, and the same command tries these again (fewer --jobs need less memory)"
        )


def work_of(rows: Rows, trials: int, seeds: int, best: int) -> int:
    """Return how long a comparison takes, in training steps of the autoencoder.

    Which rows get further seeds is not known yet; they count as the longest ones.
    """
    short = [
        _trial(config, {}, share).work * count
        for config in rows.values()
        for count, share in rounds(trials)
    ]
    full = sorted((Cell(config).work for config in rows.values()), reverse=True)
    return sum(short) + sum(full) + (seeds - 1) * sum(full[:best])


def tune_rows(
    place: Place, rows: Rows, trials: int, mapped: Mapped, progress: Progress | None = None
) -> dict[str, ImageConfig]:
    """Tune each row by successive halving, as `tokenizer.study.tuning`, on validation images.

    The choices are written to `place.out`/tuning.json.
    """
    alive: dict[str, list[Mapping[str, object]]] = {
        name: points(_space(config), trials, config.seed) for name, config in rows.items()
    }
    tried: dict[str, list[dict[str, Any]]] = {name: [] for name in rows}
    for count, share in rounds(trials):
        work = [
            (name, options, _trial(rows[name], options, share))
            for name in rows
            for options in alive[name][:count]
        ]
        cells = [cell for _, _, cell in work]
        records = _made(partial(run_cell, place), cells, mapped, progress)
        for name in rows:
            scored = [
                (_loss(record), index, options)
                for index, ((row, options, _), record) in enumerate(zip(work, records, strict=True))
                if row == name
            ]
            scored.sort(key=lambda entry: entry[:2])
            alive[name] = [options for _, _, options in scored]
            tried[name] += [
                {"share": share, "options": options, "validation_loss": loss}
                for loss, _, options in scored
            ]
    told = {name: {"options": alive[name][0], "trials": tried[name]} for name in rows}
    if trials > 1:
        with written_aside(place.out / "tuning.json") as path:
            path.write_text(json.dumps(told, indent=1, default=str).replace("Infinity", "null"))
    return {name: with_image_options(config, alive[name][0]) for name, config in rows.items()}


def _space(config: ImageConfig) -> dict[str, Range]:
    space = {
        "learning_rate": Range(*NETWORK_RATES),
        "codebook_learning_rate": Range(*CODEBOOK_RATES),
    }
    if config.quantizer.name in OWN_PARAMETER:
        name, values = OWN_PARAMETER[config.quantizer.name]
        space[name] = values
    return space


def _trial(config: ImageConfig, options: Mapping[str, object], share: float) -> Cell:
    tried = with_image_options(config, options)
    steps = max(1, round(config.steps * share))
    return Cell(replace(tried, steps=steps, measurements=1), trial=True)


def _loss(record: Mapping[str, Any]) -> float:
    loss = record["validation_loss"]
    return math.inf if loss is None else float(loss)


def _write_rows(place: Place, study: str, rows: Mapping[str, Sequence[ImageConfig]]) -> None:
    """Write which records make which row; the records themselves may come later."""
    told = {
        name: [str(Cell(config).path(place).relative_to(place.out)) for config in configs]
        for name, configs in rows.items()
    }
    with written_aside(place.out / study / NAME_OF_ROWS) as path:
        path.write_text(json.dumps(told, indent=1, ensure_ascii=False))


def _accuracy_kept(place: Place, role: str) -> dict[str, Any] | None:
    notes = place.classifier(role).with_suffix(".json")
    if not notes.exists() or not place.classifier(role).exists():
        return None
    found: dict[str, Any] = json.loads(notes.read_text())
    same = found["images"] == place.digest and found["trained_on"]["device"] == place.device
    return found if same else None


def _classify(place: Place, steps: int, role: str) -> None:
    images = load_images(place.images, place.held_out, place.device)
    model = train_classifier(images, steps, CLASSIFIERS[role])
    notes = {
        "images": place.digest,
        "learnt": "classes" if images.classes else "quarter turns",
        "steps": steps,
        "validation_accuracy": accuracy(model, images),
        "trained_on": trained_on(place.device),
    }
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    with written_aside(place.classifier(role)) as path:
        save_file(state, path)
    with written_aside(place.classifier(role).with_suffix(".json")) as path:
        path.write_text(json.dumps(notes, indent=1))
