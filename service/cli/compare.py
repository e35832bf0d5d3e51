"""`semid compare`: quantizers side by side on one catalogue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_prep.encoders import DEFAULT_ENCODER
from service.cli.console import bar, output
from service.cli.options import (
    CacheOption,
    CategorySeparatorOption,
    ColumnOption,
    column_map,
)
from tokenizer.config import TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["compare"]

_training = TrainingConfig()


def compare(
    items: Annotated[Path, typer.Argument(help="Catalogue: .parquet, .csv or .jsonl (.gz)")],
    out: Annotated[Path, typer.Option(help="Folder for records, table and pictures.")],
    quantizers: Annotated[str, typer.Option(help="Names joined by commas, or all.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each, with seeds from 0.")] = 3,
    encoder: Annotated[
        str, typer.Option(help="minilm, hashing, or a sentence-transformers model.")
    ] = DEFAULT_ENCODER,
    levels: Annotated[int, typer.Option(min=1, max=16, help="Codes of an item.")] = 4,
    codebook_size: Annotated[
        int, typer.Option(min=2, max=65_536, help="Codewords of a level.")
    ] = 256,
    steps: Annotated[int, typer.Option(min=2, help="Training steps of each.")] = _training.steps,
    column: ColumnOption = None,
    category_separator: CategorySeparatorOption = ">",
    cache: CacheOption = None,
) -> None:
    """Train every quantizer on the same vectors with the same budget, and tell them apart.

    Each run is kept as --out/runs/NAME-seedS.json when it ends: a run that has its record is not
    made again, so that a stopped comparison goes on. The table is printed and written as
    summary.json and summary.md, with pictures beside.

    Example: semid compare data/beauty/items.parquet --quantizers grit,ste,simvq --seeds 1 --out
    compare/beauty
    """
    import json
    from dataclasses import replace

    from data_prep.catalog import read_items
    from data_prep.encoders import load_encoder
    from data_prep.files import check_writable, written_aside
    from data_prep.record import file_digest
    from data_prep.text import TextTemplate
    from service.cli.catalogue import vectors_of_texts
    from tokenizer.comparison import compare as run_all
    from tokenizer.comparison import summarise
    from tokenizer.pictures import draw_curves, draw_errors
    from tokenizer.quantizers import QUANTIZERS, check_config

    names = sorted(set(QUANTIZERS) - {"rqvae"})  # rqvae is ste under TIGER's name
    if quantizers != "all":
        names = [name.strip() for name in quantizers.split(",")]
    runs: list[tuple[str, TrainingConfig]] = []
    for name in names:
        quantizer = replace(
            _training.quantizer,
            name=name,
            levels=levels,
            codebook_size=codebook_size,
            rank=min(_training.quantizer.rank, codebook_size),
        )
        check_config(quantizer)
        config = replace(_training, steps=steps, quantizer=quantizer)
        runs += [(name, replace(config, seed=seed)) for seed in range(seeds)]
    frame = read_items(items, column_map(column), category_separator)
    check_writable(out / "summary.json")
    vectors = vectors_of_texts(frame, TextTemplate(), load_encoder(encoder), cache)
    labels = [" > ".join(filter(None, path or [])) for path in frame["categories"].to_list()]
    with bar("comparing", len(runs)) as progress:
        records = run_all(out, vectors, labels, runs, file_digest(items), progress)
    rows = summarise(records)
    table = markdown(rows)
    for name, text in (("summary.json", json.dumps(rows, indent=2)), ("summary.md", table)):
        with written_aside(out / name) as path:
            path.write_text(text)
    draw_errors(rows, out / "errors.png")
    draw_curves(records, out / "curves.png")
    output.print(table)
    output.print(f"kept in {out}")


def markdown(rows: "Sequence[dict[str, Any]]") -> str:
    """Return the table of a comparison; the best figure of each column is bold."""
    from tokenizer.comparison import COLUMNS

    lines = [
        "| quantizer | " + " | ".join(heading for heading, *_ in COLUMNS) + " |",
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
