"""`semid compare` and `semid ablate`: configurations side by side on one catalogue."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

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

__all__ = ["ablate", "compare"]

_training = FitConfig()

ItemsArgument = Annotated[
    Path, typer.Argument(help="Catalogue: .parquet, .csv or .jsonl (.gz)", show_default=False)
]
OutOption = Annotated[Path, typer.Option(help="Folder for records, table and pictures.")]
SeedsOption = Annotated[int, typer.Option(min=1, help="Runs of each, with seeds from 0.")]
StepsOption = Annotated[int, typer.Option(help="Most training steps of each.")]


def compare(
    items: ItemsArgument,
    out: OutOption,
    quantizers: Annotated[str, typer.Option(help="Names joined by commas, or all.")] = "all",
    seeds: SeedsOption = 3,
    encoder: EncoderOption = DEFAULT_ENCODER,
    levels: Annotated[int, typer.Option(help="Codes of an item.")] = 4,
    codebook_size: Annotated[int, typer.Option(help="Codewords of a level.")] = 256,
    steps: StepsOption = _training.steps,
    options: SetOption = None,
    device: DeviceOption = "cpu",
    column: ColumnOption = None,
    category_separator: CategorySeparatorOption = ">",
    cache: CacheOption = None,
) -> None:
    """Train every quantizer on the same vectors with the same budget, and tell them apart.

    Each run is kept as --out/runs/NAME-seedS.json when it ends: a run that has its record is not
    made again, so that a stopped comparison goes on. A search beam is not for variants that do not
    choose codes by distance (fsq, lfq, hypervq, lsh); they keep their own way. The table is printed
    and written as summary.json and summary.md, with pictures beside.

    Example: semid compare data/beauty/items.parquet --quantizers grit,ste,simvq --seeds 1 --set
    network=identity --out compare/beauty
    """
    from tokenizer.quantizers import QUANTIZERS

    names = sorted(set(QUANTIZERS) - {"rqvae"})  # rqvae is ste under TIGER's name
    if quantizers != "all":
        names = [name.strip() for name in quantizers.split(",")]
    sizes = {"levels": levels, "codebook_size": codebook_size}
    shared = {"steps": steps} | sizes | option_map(options)
    rows: dict[str, dict[str, object]] = {name: {"quantizer": name} for name in names}
    for name in names:
        if name in QUANTIZERS and not QUANTIZERS[name].by_distance:
            rows[name]["search_beam"] = 1  # they choose codes in a way of their own
    _run(items, out, rows, shared, seeds, encoder, device, column, category_separator, cache)


def ablate(
    items: ItemsArgument,
    out: OutOption,
    study: Annotated[str, typer.Option(help="A name of those below.")],
    seeds: SeedsOption = 3,
    encoder: EncoderOption = DEFAULT_ENCODER,
    steps: StepsOption = _training.steps,
    options: SetOption = None,
    device: DeviceOption = "cpu",
    column: ColumnOption = None,
    category_separator: CategorySeparatorOption = ">",
    cache: CacheOption = None,
) -> None:
    """Ask one of the paper's ablations of a catalogue: GRIT-VQ with one thing changed at a time.

    radius, transform, rank, refresh, protocol, components, codebook-size and levels vary what
    their names say; encoder varies the network around the stack and the search beam, beside FAISS.
    What --set says holds for every row that does not say otherwise. Records, table and pictures as
    semid compare; a stopped study goes on.

    Example: semid ablate data/beauty/items.parquet --study radius --seeds 1 --steps 1000 --out
    ablate/radius
    """
    from data_prep.names import check_name
    from tokenizer.study.ablations import STUDIES

    check_name("study", study, STUDIES)
    shared = {"steps": steps} | option_map(options)
    _run(
        items,
        out,
        STUDIES[study],
        shared,
        seeds,
        encoder,
        device,
        column,
        category_separator,
        cache,
    )


def _run(
    items: Path,
    out: Path,
    rows: Mapping[str, Mapping[str, object]],
    shared: Mapping[str, object],
    seeds: int,
    encoder: str,
    device: str,
    column: Sequence[str] | None,
    category_separator: str,
    cache: Path | None,
) -> None:
    """Make and print one comparison: its rows, each with the options that all share."""
    import json
    from dataclasses import replace

    from data_prep.embedding.devices import resolve_device
    from data_prep.embedding.encoders import load_encoder
    from data_prep.errors import InputError
    from data_prep.readers.catalogue import read_items
    from data_prep.storage.files import check_writable, written_aside
    from data_prep.storage.record import file_digest
    from data_prep.text import TextTemplate
    from service.cli.data.catalogue import vectors_of_texts
    from tokenizer.options import check_training, fitted_to_size, with_options
    from tokenizer.study.comparison import compare as run_all
    from tokenizer.study.comparison import summarise
    from tokenizer.study.pictures import draw_curves, draw_errors, draw_rate_distortion

    if "seed" in shared:
        raise InputError("--set seed: a comparison runs seeds from 0; say how many with --seeds")
    device = resolve_device(device)
    runs: list[tuple[str, FitConfig]] = []
    for name, changes in rows.items():
        config = fitted_to_size(with_options(_training, dict(shared) | dict(changes)))
        check_training(config)
        runs += [(name, replace(config, seed=seed)) for seed in range(seeds)]
    frame = read_items(items, column_map(column), category_separator)
    check_writable(out / "summary.json")
    vectors = vectors_of_texts(frame, TextTemplate(), load_encoder(encoder, device), cache)
    labels = [" > ".join(filter(None, path or [])) for path in frame["categories"].to_list()]
    with bar("comparing", len(runs)) as progress:
        records = run_all(out, vectors, labels, runs, file_digest(items), progress, device)
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
    """Return the table of a comparison; the best figure of each column is bold."""
    from tokenizer.study.comparison import COLUMNS

    lines = [
        "| | " + " | ".join(heading for heading, *_ in COLUMNS) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    best = {}
    for _, key, _, less in COLUMNS:
        means = [row[key]["mean"] for row in rows]
        best[key] = min(means) if less else max(means)
    for row in rows:
        cells = [row["name"]]
        for _, key, form, _ in COLUMNS:
            mean, spread = row[key]["mean"], row[key]["std"]
            cell = f"{mean:{form}}"
            if spread is not None and key != "parameters":
                cell += f" ± {spread:{form}}"
            cells.append(f"**{cell}**" if mean == best[key] else cell)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
