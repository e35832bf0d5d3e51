"""`semid train` and `semid evaluate`: recommenders from a prepared file."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from service.cli.terminal.console import bar, output, print_json, working
from service.cli.terminal.options import (
    ConfigurationOption,
    DeviceOption,
    JsonOption,
    QuietOption,
)
from service.settings import argument, option

if TYPE_CHECKING:
    from recsys.evaluation.full_ranking import RankingQuality

__all__ = ["EvaluateSettings", "TrainSettings", "evaluate", "train"]

DATA = "File that semid prepare training wrote (.safetensors)."


class TrainSettings(DeviceOption, ConfigurationOption, QuietOption):
    """The options of `semid train`."""

    command = "train"
    after_stop = "the same command resumes from {out}.training"

    data: Path = argument(DATA)
    out: Path = option("Folder for the recommender.")
    model: str = option(
        "sasrec, a dual encoder, generator or tiger; semid models lists all.",
        "dual-encoder-prefixes-transitions",
    )
    preset: str = option("Size of model and training: smoke, quick or paper.", "quick")
    seed: int = option("Seed of every random choice.", 0, ge=0)
    overwrite: bool = option("Replace a recommender at --out.", False)


class EvaluateSettings(DeviceOption, QuietOption, JsonOption):
    """The options of `semid evaluate`."""

    command = "evaluate"

    recommender: Path = argument("Folder that semid train wrote.")
    data: Path = argument(DATA)
    out: Path | None = option("File for the figures, as JSON.", None)


def train(settings: TrainSettings) -> None:
    """Train a recommender, keep its best state by validation, and test it.

    sasrec learns a row for each item. dual-encoder sums rows of an item's codes;
    dual-encoder-prefixes adds rows of its code prefixes; dual-encoder-residual adds a row for each
    item. Models with -transitions also count what others took after the last items, those with
    -nearness what is near them, and those with -repeats learn whether users come back to an item.
    generator and tiger write the next item's ID; generator is far quicker, and with -cold puts
    items that nobody took yet among those it finds. --set changes the training: epochs,
    batch_size, learning_rate, patience, precision… A stopped training resumes from --out.training.
    Under torchrun or accelerate launch several processes train together.

    Example: semid train data/beauty/training.safetensors --model tiger --out recommenders/beauty
    """
    from data_prep.storage.durable import recover
    from data_prep.storage.files import check_writable
    from recsys.data.dataset import SequenceDataset
    from recsys.fit import configured, fit
    from recsys.frozen_model import FILES
    from recsys.training.loop import Measurement

    model, out = settings.model, settings.out
    chosen = configured(model, settings.preset, settings.seed, settings.options)
    device = settings.torch_device()
    dataset = SequenceDataset.load(settings.data)
    recover(out)
    if out.exists() and not settings.overwrite:
        raise InputError(f"{out} exists; choose another --out, or pass --overwrite to replace it")
    check_writable(out, FILES)
    training = chosen.training
    with bar(f"training {model}", 0) as progress:

        def report(step: int, total: int, measured: Measurement | None) -> None:
            progress.goes_to(step, total)
            if measured is not None:
                figure = measured.validation[training.candidates][training.monitor]
                progress.note(f"epoch {measured.epoch}, {training.monitor} {figure:.4f}")

        kept = out.with_name(f"{out.name}.training")
        done = fit(model, chosen, dataset, device, kept, report, progress.note)
    if done is None:
        return  # only torchrun's first process tests and writes
    recommender, found = done
    recommender.write(out)
    shutil.rmtree(kept, ignore_errors=True)
    output.print(f"{out}: recommender {recommender.fingerprint[:16]}…")
    _print(found)


def evaluate(settings: EvaluateSettings) -> None:
    """Rank every user's test item among all items, and among those outside the history.

    The file must have the same items as the recommender's training.

    Example: semid evaluate recommenders/beauty data/beauty/training.safetensors
    """
    import torch

    from data_prep.storage.files import written_aside
    from recsys.data.dataset import SequenceDataset
    from recsys.fit import figures
    from recsys.recommender import Recommender

    device = settings.torch_device()
    dataset = SequenceDataset.load(settings.data)
    loaded = Recommender.load(settings.recommender)
    loaded.check_data(dataset)
    with working("ranking all items for every user"):
        found = loaded.model.to(torch.device(device)).evaluate(dataset, "test")
    told = {
        "recommender": loaded.fingerprint,
        "data": dataset.fingerprint,
        "test": figures(found),
    }
    if settings.as_json:
        print_json(told)
    else:
        _print(found)
    if settings.out is not None:
        with written_aside(settings.out) as path:
            path.write_text(json.dumps(told, indent=2) + "\n")


def _print(found: "RankingQuality") -> None:
    from data_prep.markdown import markdown_table
    from recsys.evaluation.metrics import CUTOFFS
    from recsys.fit import figures

    metrics = figures(found)
    names = [f"{kind}@{k}" for kind in ("recall", "ndcg") for k in CUTOFFS]
    lines = [
        [name, *(f"{metrics[candidates][name]:.4f}" for candidates in metrics)]
        for name in names
        if name in metrics["all"]
    ]
    output.print(markdown_table(["", "all items ranked", "history left out"], lines))
