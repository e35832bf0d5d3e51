"""The items that `semid fit` trains on: all of a small catalogue, a sample of a large one."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from data_prep.mapping.column_mapping import ColumnMapping
from service.cli.data.parts import only_one_file

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from data_prep.parts.table import Parts
    from data_prep.readers.table_files import TableFile
    from service.cli.terminal.options import CatalogueOptions

__all__ = ["TrainingItems", "own_vectors", "sampled_items", "training_items"]


@dataclass(frozen=True)
class TrainingItems:
    """Items to train on.

    Attributes:
        file: their rows as they stand in the files, in the catalogue's order.
        total: number of items of the catalogue.
        digest: tells the catalogue from others.
        parts: the catalogue in parts; None if it is no parquet file.
        mapping: what the files' columns are, once it is known.
    """

    file: "TableFile"
    total: int
    digest: str
    parts: "Parts | None"
    mapping: ColumnMapping = field(default_factory=ColumnMapping)


def training_items(
    settings: "CatalogueOptions", source: str, size: int, seed: int
) -> TrainingItems:
    """Read a catalogue, or a seeded sample of `size` of its rows.

    A parquet file with more rows, and anything in parts, is read in one pass. Other files are read
    whole, and so is a parquet file with --dedupe: several of their rows may be one item, and
    `sampled_items` draws of their items.

    Raises:
        InputError: the catalogue cannot be read.
    """
    from data_prep.mapping.column_mapping import check_columns
    from data_prep.parts.sample import sampled, sampled_rows
    from data_prep.parts.table import Parts
    from data_prep.readers.table_files import TableFile

    path = Path(source)
    whole = source == "-" or ("://" not in source and path.is_file())
    parquet = not whole or path.name.lower().endswith(".parquet")
    parts = Parts.of(source) if parquet else None
    collapsed = settings.dedupe not in {None, "refuse"}
    if parts is None or (whole and (collapsed or parts.rows <= size)):
        file = settings.open(only_one_file(source, path))
        return TrainingItems(file, file.frame.height, settings.digest(path), parts)
    check_columns(parts.columns, settings.column, settings.drop, source)
    if collapsed:
        raise InputError(
            f"{source}: --dedupe {settings.dedupe} works on one file, and not on parts; keep one "
            f"row an item in them"
        )
    frame = sampled(parts, sampled_rows(parts.rows, size, seed), settings.drop)
    file = TableFile(source, frame, None, "parquet")
    return TrainingItems(file, parts.rows, _digest(parts), parts)


def sampled_items(items: "pl.DataFrame", size: int, seed: int) -> "pl.DataFrame":
    """Return a seeded sample of `size` items, or all if there are fewer."""
    from data_prep.parts.sample import sampled_rows

    rows = sampled_rows(items.height, size, seed)
    return items if len(rows) == items.height else items[rows]


def own_vectors(items: "pl.DataFrame", source: str) -> "NDArray[np.float32]":
    """Return the items' vectors (n, D) from the files of `source`, with any order of items.

    Raises:
        InputError: the files cannot be used, or an item has no vector in them, or a vector that is
            not finite or is all zero.
    """
    from data_prep.parts.sample import vectors_by_id
    from data_prep.parts.table import Parts
    from tokenizer.model.vector_checks import check_finite

    table = Parts.of(source)
    if "vector" not in table.columns:
        raise InputError(f"{source}: no column 'vector'; it has {', '.join(table.columns)}")
    vectors = vectors_by_id(items, table)
    check_finite(vectors, items["item_id"].to_list())
    return vectors


def _digest(parts: "Parts") -> str:
    from hashlib import sha256

    return sha256(repr(parts.key()).encode()).hexdigest()
