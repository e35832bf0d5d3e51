"""`semid tune`: finds learning rates and the variant's own parameter, on validation items."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.terminal.console import bar, output
from service.cli.terminal.options import (
    CATALOGUE,
    VECTORS,
    CacheOption,
    CatalogueOptions,
    ConfigurationOption,
    DeviceOption,
    EncoderOption,
    QuietOption,
)
from service.settings import argument, from_core, option
from tokenizer.config import FitConfig

if TYPE_CHECKING:
    from tokenizer.study.items import StudyItems

__all__ = ["StudyOptions", "TuneSettings", "study_items", "tune", "tuned_rows"]


class StudyOptions(
    EncoderOption, CacheOption, DeviceOption, ConfigurationOption, CatalogueOptions, QuietOption
):
    """The options of every command that studies a catalogue."""

    items: Path = argument(CATALOGUE)
    vectors: str | None = option(VECTORS, None)


class TuneSettings(StudyOptions):
    """The options of `semid tune`."""

    command = "tune"
    after_stop = "the same command resumes from the trials in {out}/trials"

    out: Path = option("Folder for the records of the trials and the best options.")
    quantizer: str = from_core("quantizer", "The variant; semid quantizers lists them.")
    trials: int = option("Number of trials in the first round.", 9, ge=2)
    steps: int = from_core("steps", "Training steps of the best trial; the other trials get fewer.")


def tune(settings: TuneSettings) -> None:
    """Find the best learning rates and own parameter of a variant for a catalogue.

    All trials train for a part of --steps, the best third of them for three times as many steps,
    and so on. The error on validation items decides; held-out items are not used. Each trial is
    kept in --out/trials, so that a stopped search can resume. The best options are printed in the
    form that semid fit takes.

    Example: semid tune data/beauty/items.parquet --quantizer diveq --trials 9 --out tune/beauty
    """
    from data_prep.storage.files import check_writable
    from tokenizer.options import check_training, fitted_to_size, with_options

    own = {"quantizer": settings.quantizer, "steps": settings.steps}
    config = fitted_to_size(with_options(FitConfig(), settings.options | own))
    check_training(config)
    device = settings.torch_device()
    out = settings.out
    check_writable(out / "tuning.json")
    items = study_items(settings, device)
    tuned_rows(out, {settings.quantizer: config}, items, settings.trials, device)


def study_items(settings: StudyOptions, device: str) -> "StudyItems":
    """Return the catalogue's vectors, from texts or the user's own, and its categories."""
    from data_prep.text import DEFAULT_FIELDS, TextTemplate
    from service.cli.data.catalogue import encoded_items
    from service.cli.data.training_items import own_vectors
    from tokenizer.study.items import StudyItems

    frame = settings.read(settings.items)
    if settings.vectors is None:
        template = TextTemplate.of(DEFAULT_FIELDS, frame.columns)
        _, vectors = encoded_items(
            frame, template, settings.encoder, settings.cache, device,
            settings=settings.model_settings(),
        )  # fmt: skip
    else:
        vectors = own_vectors(frame, settings.vectors)
    labels = tuple(" > ".join(filter(None, path or [])) for path in frame["categories"].to_list())
    return StudyItems(vectors, labels, settings.digest(settings.items))


def tuned_rows(
    out: Path,
    configs: Mapping[str, FitConfig],
    items: "StudyItems",
    trials: int,
    device: str,
) -> dict[str, FitConfig]:
    """Tune each row in the same way, write the choices to out/tuning.json, and return them."""
    import json

    from data_prep.storage.files import written_aside
    from tokenizer.study.tuning import trial_count, tune

    found = {}
    with bar("tuning", len(configs) * trial_count(trials)) as progress:
        for name, config in configs.items():
            found[name] = tune(out, name, items, config, trials, progress, device)
    told = {
        name: {
            "options": dict(tuned.options),
            "trials": [
                {key: trial[key] for key in ("steps", "options", "validation_error")}
                for trial in tuned.trials
            ],
        }
        for name, tuned in found.items()
    }
    with written_aside(out / "tuning.json") as path:
        path.write_text(json.dumps(told, indent=2))
    for name, tuned in found.items():
        chosen = " ".join(f"--set {key}={value}" for key, value in tuned.options.items())
        best = tuned.trials[-1]["steps"]
        errors = [t["validation_error"] for t in tuned.trials if t["steps"] == best]
        error = min((e for e in errors if e is not None), default=float("nan"))
        output.print(f"{name}: validation error {error:.4f}, {chosen or 'the defaults'}")
    return {name: tuned.config for name, tuned in found.items()}
