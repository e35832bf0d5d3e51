"""`semid compare` and `semid ablate`: configurations side by side on one catalogue."""

from collections.abc import Mapping
from pathlib import Path

from service.cli.terminal.console import bar, output
from service.cli.tokenizers.tune import StudyOptions
from service.settings import Commas, from_core, option

__all__ = ["AblateSettings", "CompareSettings", "ablate", "compare"]


class _ComparisonSettings(StudyOptions):
    """The options of both commands."""

    after_stop = "the same command resumes from the runs in {out}/runs"

    out: Path = option("Folder for records, table and pictures.")
    prepare_only: bool = option(
        "Write the vectors, rounded to 8 bits a number, to the file --out instead; see python -m "
        "tokenizer.study.",
        False,
    )
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
    from tokenizer.study.rows import quantizer_rows

    sizes = {"levels": settings.levels, "codebook_size": settings.codebook_size}
    _run(settings, quantizer_rows(settings.quantizers), sizes)


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
    from service.cli.tokenizers.tune import study_items, tuned_rows
    from tokenizer.study.comparison import compare as run_all
    from tokenizer.study.comparison import summarise
    from tokenizer.study.pictures import draw_curves, draw_errors, draw_rate_distortion
    from tokenizer.study.rows import configurations, markdown

    shared = {"steps": settings.steps, **sizes, **settings.options}
    if "seed" in shared:
        raise InputError("--set seed: a comparison runs seeds from 0; say how many with --seeds")
    device = settings.torch_device()
    configs = configurations(rows, shared)
    out = settings.out
    if settings.prepare_only:
        check_writable(out)
        study_items(settings, device).save(out)
        output.print(f"kept in {out}; see python -m tokenizer.study")
        return
    check_writable(out / "summary.json")
    items = study_items(settings, device)
    if settings.tune > 1:
        configs = tuned_rows(out, configs, items, settings.tune, device)
    runs = [
        (name, replace(config, seed=seed))
        for name, config in configs.items()
        for seed in range(settings.seeds)
    ]
    with bar("comparing", len(runs)) as progress:
        records = run_all(out, items, runs, progress, device)
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
