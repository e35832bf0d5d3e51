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
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="Texts are encoded side by side by so many threads.",
            show_default="the cores that the process may use",
        ),
    ] = None,
) -> None:
    """Write the vectors of a catalogue's texts, to look at or to use elsewhere.

    `fit` and `tokenize` embed by themselves; this command is for those who want the vectors.
    """
    import polars as pl

    from data_prep.embedding.devices import resolve_device
    from data_prep.embedding.encoders import load_encoder
    from data_prep.readers.catalogue import read_items
    from data_prep.storage.files import check_writable, written_aside
    from service.cli.data.catalogue import template_of, vectors_of_texts

    device = resolve_device(device)
    frame = read_items(items, column_map(column), category_separator)
    check_writable(out)
    template = template_of([name.strip() for name in text_fields.split(",")], frame)
    vectors = vectors_of_texts(frame, template, load_encoder(encoder, device), cache, threads)
    table = pl.DataFrame({"item_id": frame["item_id"], "vector": vectors})
    with written_aside(out) as path:
        table.write_parquet(path)
    output.print(f"{out}: {len(vectors):,} vectors of {vectors.shape[1]} floats")
