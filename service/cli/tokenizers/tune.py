"""`semid tune`: the learning rates and the own parameter of a variant, by validation items."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_prep.embedding.encoders import DEFAULT_ENCODER
from service.cli.terminal.console import bar, output
from service.cli.terminal.options import (
    CacheOption,
    CategorySeparatorOption,
    ColumnOption,
    DeviceOption,
    EncoderOption,
    SetOption,
    column_map,
    option_map,
)
from tokenizer.config import FitConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["tune", "tuned_rows"]

_training = FitConfig()


def tune(
    items: Annotated[
        Path,
        typer.Argument(help="Catalogue: .parquet, .csv or .jsonl (.gz)", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the trials' records and what they chose.")],
    quantizer: Annotated[str, typer.Option(help="The variant.")] = _training.quantizer.name,
    trials: Annotated[int, typer.Option(min=2, help="Trials that begin.")] = 9,
    steps: Annotated[
        int, typer.Option(help="Steps of the training that is tuned for.")
    ] = _training.steps,
    encoder: EncoderOption = DEFAULT_ENCODER,
    options: SetOption = None,
    device: DeviceOption = "cpu",
    column: ColumnOption = None,
    category_separator: CategorySeparatorOption = ">",
    cache: CacheOption = None,
) -> None:
    """Find learning rates and the variant's own parameter that serve a catalogue.

    All trials train for a part of --steps, the best third for three times as many, and so on. They
    are judged by the error on validation items; held-out items stay unseen. Each trial is kept in
    --out/trials, so that a stopped search goes on. The options found are printed as semid fit takes
    them.

    Example: semid tune data/beauty/items.parquet --quantizer diveq --trials 9 --out tune/beauty
    """
    from data_prep.embedding.devices import resolve_device
    from data_prep.embedding.encoders import load_encoder
    from data_prep.readers.catalogue import read_items
    from data_prep.storage.files import check_writable
    from data_prep.storage.record import file_digest
    from data_prep.text import TextTemplate
    from service.cli.data.catalogue import vectors_of_texts
    from tokenizer.options import check_training, fitted_to_size, with_options

    given = option_map(options) | {"quantizer": quantizer, "steps": steps}
    config = fitted_to_size(with_options(_training, given))
    check_training(config)
    device = resolve_device(device)
    frame = read_items(items, column_map(column), category_separator)
    check_writable(out / "tuning.json")
    vectors = vectors_of_texts(frame, TextTemplate(), load_encoder(encoder, device), cache)
    tuned_rows(out, {quantizer: config}, vectors, trials, file_digest(items), device)


def tuned_rows(
    out: Path,
    configs: Mapping[str, FitConfig],
    vectors: "NDArray[np.float32]",
    trials: int,
    data_fingerprint: str,
    device: str,
) -> dict[str, FitConfig]:
    """Tune each row alike, write what was chosen to out/tuning.json, and return it by name."""
    import json

    from data_prep.storage.files import written_aside
    from tokenizer.study.tuning import trial_count, tune

    found = {}
    with bar("tuning", len(configs) * trial_count(trials)) as progress:
        for name, config in configs.items():
            found[name] = tune(
                out, name, vectors, config, trials, data_fingerprint, progress, device
            )
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
