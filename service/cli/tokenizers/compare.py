"""`semid compare` and `semid ablate`: configurations side by side on one catalogue."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.cli.terminal.console import bar, output
from service.cli.terminal.options import (
    CATALOGUE,
    CacheOption,
    CatalogueOptions,
    ConfigurationOption,
    DeviceOption,
    EncoderOption,
    QuietOption,
)
from service.settings import Commas, argument, from_core, option
from tokenizer.config import FitConfig

__all__ = ["AblateSettings", "CompareSettings", "ablate", "compare"]


class _ComparisonSettings(
    EncoderOption, CacheOption, DeviceOption, ConfigurationOption, CatalogueOptions, QuietOption
):
    """The options of both commands."""

    after_stop = "the same command resumes from the runs in {out}/runs"

    items: Path = argument(CATALOGUE)
    out: Path = option("Folder for records, table and pictures.")
    seeds: int = option("Number of runs of each row, with seeds 0, 1, …", 3, ge=1)
    steps: int = from_core("steps", "Largest number of training steps of each run.")
    tune: int = option(
        "Trials that first tune each row: its learning rates and its own parameter, by the error "
        "on validation items; 1 uses the defaults.",
        1,
        ge=1,
    )


class CompareSettings(_ComparisonSettings):
    """The options of `semid compare`."""

    command = "compare"

    quantizers: Commas = option("Names joined by commas, or all.", ("all",), min_length=1)
    levels: int = from_core("levels", "Levels: the number of codes of an item.")
    codebook_size: int = from_core("codebook_size", "Codewords in each level.")


class AblateSettings(_ComparisonSettings):
    """The options of `semid ablate`."""

    command = "ablate"

    study: str = option("One of the studies named above.")


def compare(settings: CompareSettings) -> None:
    """Train every quantizer on the same vectors with the same budget, and compare the results.

    Each run's record is kept as --out/runs/NAME-seedS.json. A run with a record is not made again,
    so that a stopped comparison can resume; the same holds for the trials of --tune. The validation
    error sorts the rows, and its best figure is bold; the held-out error is only reported. An
    option of --set applies to the variants that have it. A search beam does not apply to variants
    that do not choose codes by distance (fsq, lfq, hypervq, lsh). The table is printed and written
    as summary.json and summary.md, with pictures.

    Example: semid compare data/beauty/items.parquet --quantizers grit,ste,simvq --seeds 1 --set
    network=identity --out compare/beauty
    """
    from tokenizer.quantizers import QUANTIZERS

    names: Sequence[str] = settings.quantizers
    if settings.quantizers == ("all",):
        names = sorted(set(QUANTIZERS) - {"rqvae"})  # rqvae equals ste; the name is TIGER's
    sizes = {"levels": settings.levels, "codebook_size": settings.codebook_size}
    rows: dict[str, dict[str, object]] = {name: {"quantizer": name} for name in names}
    for name in names:
        if name in QUANTIZERS and not QUANTIZERS[name].by_distance:
            rows[name]["search_beam"] = 1  # these do not choose codes by distance
    _run(settings, rows, sizes)


def ablate(settings: AblateSettings) -> None:
    """Run one of the paper's ablations on a catalogue: GRIT-VQ with one change in each row.

    radius, transform, rank, refresh, protocol, components, codebook-size and levels vary what their
    names say. encoder varies the network around the stack and the search beam, and compares them
    with FAISS. An option of --set applies to every row that does not set it itself. Records, table
    and pictures are as in semid compare; a stopped study resumes.

    Example: semid ablate data/beauty/items.parquet --study radius --seeds 1 --steps 1000 --out
    ablate/radius
    """
    from data_prep.names import check_name
    from tokenizer.study.ablations import STUDIES

    check_name("study", settings.study, STUDIES)
    _run(settings, STUDIES[settings.study], {})


def _run(
    settings: _ComparisonSettings,
    rows: Mapping[str, Mapping[str, object]],
    sizes: Mapping[str, object],
) -> None:
    """Make and print one comparison; `sizes` are options that all rows share."""
    import json
    from dataclasses import replace

    from data_prep.errors import InputError
    from data_prep.storage.files import check_writable, written_aside
    from data_prep.text import DEFAULT_FIELDS, TextTemplate
    from service.cli.data.catalogue import encoded_items
    from service.cli.tokenizers.tune import tuned_rows
    from tokenizer.options import check_training, fitted_to_size, options_for, with_options
    from tokenizer.study.comparison import compare as run_all
    from tokenizer.study.comparison import summarise
    from tokenizer.study.pictures import draw_curves, draw_errors, draw_rate_distortion

    shared = {"steps": settings.steps, **sizes, **settings.options}
    if "seed" in shared:
        raise InputError("--set seed: a comparison runs seeds from 0; say how many with --seeds")
    device = settings.torch_device()
    configs: dict[str, FitConfig] = {}
    for name, changes in rows.items():
        usual = FitConfig().quantizer.name
        quantizer = str(changes.get("quantizer", shared.get("quantizer", usual)))
        options = options_for(quantizer, shared) | dict(changes)
        configs[name] = fitted_to_size(with_options(FitConfig(), options))
        check_training(configs[name])
    frame, out = settings.read(settings.items), settings.out
    check_writable(out / "summary.json")
    template = TextTemplate.of(DEFAULT_FIELDS, frame.columns)
    _, vectors = encoded_items(
        frame, template, settings.encoder, settings.cache, device,
        settings=settings.model_settings(),
    )  # fmt: skip
    labels = [" > ".join(filter(None, path or [])) for path in frame["categories"].to_list()]
    digest = settings.digest(settings.items)
    if settings.tune > 1:
        configs = tuned_rows(out, configs, vectors, settings.tune, digest, device)
    runs = [
        (name, replace(config, seed=seed))
        for name, config in configs.items()
        for seed in range(settings.seeds)
    ]
    with bar("comparing", len(runs)) as progress:
        records = run_all(out, vectors, labels, runs, digest, progress, device)
    table_rows = summarise(records)
    table = markdown(table_rows)
    for name, text in (("summary.json", json.dumps(table_rows, indent=2)), ("summary.md", table)):
        with written_aside(out / name) as path:
            path.write_text(text)
    draw_errors(table_rows, out / "errors.png")
    draw_curves(records, out / "curves.png")
    draw_rate_distortion(records, out / "rate-distortion.png")
    output.print(table)
    output.print(f"kept in {out}")


def markdown(rows: "Sequence[dict[str, Any]]") -> str:
    """Return the table of a comparison; the best figure of a column is bold.

    Among the errors only the validation error has a bold figure: it selects and sorts the rows. p
    is the p-value of the hypothesis that the held-out errors are equal.
    """
    from data_prep.markdown import markdown_table
    from tokenizer.study.comparison import COLUMNS

    headings = [column.heading for column in COLUMNS]
    headings.insert(2, "p against the first")
    lines = []
    for row in rows:
        cells = [row["name"]]
        for column in COLUMNS:
            mean, spread = row[column.key]["mean"], row[column.key]["std"]
            cell = f"{mean:{column.form}}"
            if spread is not None and column.key != "parameters":
                cell += f" ± {spread:{column.form}}"
            means = (other[column.key]["mean"] for other in rows)
            best = column.best is not None and mean == column.best(means)
            cells.append(f"**{cell}**" if best else cell)
        p = row["held_out_p"]
        cells.insert(3, "" if p is None else f"{p:.2g}")
        lines.append(cells)
    return markdown_table(["", *headings], lines)
