"""`semid tokenize`: semantic IDs for a whole catalogue."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from service.cli.terminal.console import bar, output
from service.cli.terminal.options import (
    CacheOption,
    CategorySeparatorOption,
    ColumnOption,
    DeviceOption,
    column_map,
)
from tokenizer.config import CATALOGUE_BATCH

__all__ = ["tokenize"]


def tokenize(
    items: Annotated[Path, typer.Argument(help="Catalogue: .parquet, .csv or .jsonl (.gz)")],
    tokenizer: Annotated[Path, typer.Option(help="Folder that semid fit wrote.")],
    out: Annotated[Path, typer.Option(help="Parquet file for the IDs.")],
    known: Annotated[
        Path | None, typer.Option(help="IDs given before: they stay, and come first in --out.")
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(help="Your own vectors (parquet: item_id, vector) instead of texts."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Items in memory at once; the codes do not depend on it.")
    ] = CATALOGUE_BATCH,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace --out even where IDs in it get lost.")
    ] = False,
    device: DeviceOption = "cpu",
    column: ColumnOption = None,
    category_separator: CategorySeparatorOption = ">",
    cache: CacheOption = None,
) -> None:
    """Give every item of a catalogue its semantic ID.

    Of items whose codes are equal the later ones get a suffix, or other codes where the tokenizer
    was fitted with --policy reassign, so that each ID is one item's and never changes: hand the
    last table to --known when the catalogue grows.

    Example: semid tokenize data/beauty/items.parquet --tokenizer tokenizers/beauty --out
    beauty-ids.parquet
    """
    from data_prep.embedding.devices import resolve_device
    from data_prep.readers.catalogue import read_items, read_vectors
    from data_prep.storage.files import check_writable, written_aside
    from service.cli.data.catalogue import open_cache
    from tokenizer.offline.catalogue import tokenize_catalogue
    from tokenizer.offline.id_table import check_keeps, read_ids
    from tokenizer.pipeline import Pipeline

    device = resolve_device(device)
    frame = read_items(items, column_map(column), category_separator)
    check_writable(out)
    pipeline = Pipeline.load(tokenizer, device)
    given = None if known is None else read_ids(known, pipeline)
    own = None if vectors is None else read_vectors(vectors)
    opened = open_cache(cache) if own is None else nullcontext()
    with opened as kept, bar("tokenizing", frame.height) as progress:
        ids = tokenize_catalogue(frame, pipeline, given, own, batch_size, kept, progress)
    if not overwrite:
        check_keeps(out, ids)
    with written_aside(out) as path:
        ids.write_parquet(path)
    new = ids.height - (0 if given is None else given.height)
    told = f"{out}: {ids.height:,} IDs, {new:,} of them new"
    if pipeline.config.policy == "suffix":
        told += f", {(ids['suffix'] > 0).sum():,} with a suffix"
    output.print(told)
