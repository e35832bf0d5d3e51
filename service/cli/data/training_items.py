"""The items that `semid fit` trains on: all of a small catalogue, a sample of a large one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from service.cli.data.parts import item_parts, only_one_file

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from data_prep.parts.items import ItemParts
    from service.cli.terminal.options import CatalogueOptions

__all__ = ["TrainingItems", "own_vectors", "training_items"]


@dataclass(frozen=True)
class TrainingItems:
    """Items to train on.

    Attributes:
        items: the Items table, in the catalogue's order.
        total: number of items of the catalogue.
        digest: tells the catalogue from others.
        parts: the catalogue, if it was read in parts.
    """

    items: "pl.DataFrame"
    total: int
    digest: str
    parts: "ItemParts | None"


def training_items(
    settings: "CatalogueOptions",
    source: str,
    vectors: str | None,
    fields: Sequence[str],
    size: int,
    seed: int,
) -> TrainingItems:
    """Read a catalogue, or a seeded sample of `size` of its items.

    A parquet file with more items, and anything in parts, is read in one pass; other files are read
    whole.

    Args:
        vectors: files of the items' own vectors.
        fields: the fields that make the text.

    Raises:
        InputError: the catalogue cannot be read.
    """
    from data_prep.parts.sample import sampled_items, sampled_rows
    from data_prep.storage.record import file_digest

    path = Path(source)
    whole = "://" not in source and path.is_file()
    if whole and not path.name.lower().endswith(".parquet"):
        frame = settings.read(only_one_file(source, path))
        rows = sampled_rows(frame.height, size, seed)
        return TrainingItems(frame[rows], frame.height, file_digest(path), None)
    parts = item_parts(source, vectors, settings.column, settings.category_separator)
    if whole and parts.items.rows <= size:
        return TrainingItems(settings.read(path), parts.items.rows, file_digest(path), parts)
    rows = sampled_rows(parts.items.rows, size, seed)
    frame = sampled_items(parts, rows, fields)
    return TrainingItems(frame, parts.items.rows, _digest(parts), parts)


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


def _digest(parts: "ItemParts") -> str:
    from hashlib import sha256

    return sha256(repr(parts.items.key()).encode()).hexdigest()
