"""`semid embed`: content texts → vectors in a file."""

from pathlib import Path
from typing import Annotated

import typer

from data_prep.text import DEFAULT_FIELDS
from service.cli.terminal.console import output
from service.cli.terminal.options import (
    CacheOption,
    CategorySeparatorOption,
    ColumnOption,
    DeviceOption,
    column_map,
)

__all__ = ["embed"]


def embed(
    items: Annotated[Path, typer.Argument(help="Catalogue: .parquet, .csv or .jsonl (.gz)")],
    out: Annotated[Path, typer.Option(help="Parquet file for item_id and vector.")],
    encoder: Annotated[
        str, typer.Option(help="minilm, hashing, or a sentence-transformers model.")
    ] = "minilm",
    text_fields: Annotated[
        str, typer.Option(help="Fields that make the text, in order.")
    ] = ",".join(DEFAULT_FIELDS),
    device: DeviceOption = "cpu",
    column: ColumnOption = None,
    category_separator: CategorySeparatorOption = ">",
    cache: CacheOption = None,
) -> None:
    """Write the vectors of a catalogue's texts, to look at or to use elsewhere.

    `fit` and `tokenize` embed by themselves; this command is for those who want the vectors.
    """
    import polars as pl

    from data_prep.devices import resolve_device
    from data_prep.encoders import load_encoder
    from data_prep.files import check_writable, written_aside
    from data_prep.readers.catalogue import read_items
    from service.cli.data.catalogue import template_of, vectors_of_texts

    device = resolve_device(device)
    frame = read_items(items, column_map(column), category_separator)
    check_writable(out)
    template = template_of([name.strip() for name in text_fields.split(",")], frame)
    vectors = vectors_of_texts(frame, template, load_encoder(encoder, device), cache)
    table = pl.DataFrame({"item_id": frame["item_id"], "vector": vectors})
    with written_aside(out) as path:
        table.write_parquet(path)
    output.print(f"{out}: {len(vectors):,} vectors of {vectors.shape[1]} floats")
