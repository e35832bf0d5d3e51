"""The table of semantic IDs on disk, and the checks when it is read."""

from pathlib import Path

import polars as pl

from data_prep.errors import InputError
from data_prep.readers.catalogue import read_table
from data_prep.tables import check_items
from data_prep.values.columns import named_rows, with_code_lists
from tokenizer.pipeline import Pipeline

__all__ = [
    "SEMANTIC_IDS",
    "check_ids",
    "check_keeps",
    "check_rows",
    "read_ids",
    "written_ids",
]

SEMANTIC_IDS: dict[str, pl.DataType] = {
    "item_id": pl.String(),
    "codes": pl.List(pl.UInt16()),
    "suffix": pl.UInt32(),
    "semantic_id": pl.String(),
    "distortion": pl.Float32(),
    "tokenizer": pl.String(),
}


def read_ids(path: Path, pipeline: Pipeline) -> pl.DataFrame:
    """Read a table that `semid tokenize` wrote, a file or a folder of parts.

    Args:
        pipeline: has the tokenizer that made the IDs.

    Raises:
        InputError: the file cannot be read; a column or value is missing; the IDs are another
            tokenizer's; a row has a suffix although this tokenizer gives none; a row's values
            contradict each other; or an item or an ID occurs twice.
    """
    table = _folder(path, pipeline) if path.is_dir() else read_table(path)
    return check_ids(table, str(path), pipeline)


def _folder(path: Path, pipeline: Pipeline) -> pl.DataFrame:
    from tokenizer.offline.id_parts import IdParts

    parts = IdParts.of(path, pipeline.fingerprint, pipeline.levels, pipeline.codebook_size)
    return pl.concat(parts.batches())


def check_ids(frame: pl.DataFrame, source: str, pipeline: Pipeline) -> pl.DataFrame:
    """Check that a table's IDs are from the tokenizer of `pipeline`; return it in its schema.

    Args:
        source: name of the table in error messages.

    Raises:
        InputError: as `read_ids`.
    """
    missing = [name for name in SEMANTIC_IDS if name not in frame.columns]
    if missing:
        raise InputError(
            f"{source}: no column {missing[0]!r}; a table that semid tokenize wrote is needed"
        )
    if frame.is_empty():
        return pl.DataFrame(schema=SEMANTIC_IDS)
    frame = check_rows(
        frame,
        source,
        pipeline.levels,
        pipeline.codebook_size,
        suffixes=pipeline.config.policy == "suffix",
    )
    others = frame.filter(pl.col("tokenizer") != pipeline.fingerprint)["tokenizer"].unique()
    if len(others):
        raise InputError(
            f"{source} holds IDs of tokenizer {others[0]}, not of {pipeline.fingerprint}; "
            f"use the tokenizer that made them"
        )
    check_items(frame.select("item_id"), source)
    repeated = frame["semantic_id"].is_duplicated()
    if repeated.any():
        raise InputError(f"{source}: a semantic_id is given twice ({named_rows(repeated)})")
    return frame


def check_rows(
    frame: pl.DataFrame, source: str, levels: int, codebook_size: int, *, suffixes: bool
) -> pl.DataFrame:
    """Check that each row's codes, suffix and ID are ones that a tokenizer can give.

    Args:
        frame: a table with the columns of `SEMANTIC_IDS`, which may have further ones.
        source: name of the table in error messages.
        suffixes: whether the tokenizer gives suffixes.

    Returns:
        The table in its schema.

    Raises:
        InputError: a column has another type, a value is missing, or a row contradicts itself.
    """
    try:
        frame = with_code_lists(frame)
        frame = frame.select(pl.col(name).cast(dtype) for name, dtype in SEMANTIC_IDS.items())
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{source}: a column has another type than semid tokenize writes"
        ) from error
    for name in SEMANTIC_IDS:
        if frame[name].null_count():
            raise InputError(f"{source}: no {name!r} in {named_rows(frame[name].is_null())}")
    codes = frame["codes"].list
    wrong = (codes.len() != levels) | (codes.max() >= codebook_size)
    if wrong.any():
        raise InputError(
            f"{source}: {named_rows(wrong)} do not have {levels} codes below {codebook_size}"
        )
    suffixed = frame["suffix"] > 0
    if not suffixes and suffixed.any():
        raise InputError(
            f"{source}: a suffix in {named_rows(suffixed)}, where this tokenizer gives none "
            f"(policy reassign); use the table that semid tokenize wrote, or leave those rows out"
        )
    written = frame.select(written_ids()).to_series()
    if (written != frame["semantic_id"]).any():
        rows = named_rows(written != frame["semantic_id"])
        raise InputError(f"{source}: semantic_id is not that of codes and suffix ({rows})")
    return frame


def written_ids() -> pl.Expr:
    """Return the expression that writes semantic IDs from the columns `codes` and `suffix`."""
    codes = pl.col("codes").cast(pl.List(pl.String())).list.join("-")
    suffixed = pl.format("{}-{}", codes, "suffix")
    return pl.when(pl.col("suffix") > 0).then(suffixed).otherwise(codes)


def check_keeps(path: Path, new: pl.DataFrame) -> None:
    """Check that all IDs of the table at `path`, if there is one, stay the same in `new`.

    Raises:
        InputError: an item would lose its ID or get another one, or `path` is not a table of IDs.
    """
    if not path.exists():
        return
    old = read_table(path)
    if not {"item_id", "semantic_id", "tokenizer"} <= set(old.columns):
        raise InputError(f"{path} exists and is not a table of IDs; choose another --out")
    keys = ["item_id", "semantic_id", "tokenizer"]
    lost = old.select(keys).join(new.select(keys), on=keys, how="anti")
    if lost.height:
        raise InputError(
            f"{path} exists and {lost.height} of its IDs would be lost or changed (item "
            f"{lost['item_id'][0]!r} has {lost['semantic_id'][0]}); pass --known {path} to "
            f"continue it, --overwrite to give them up, or another --out"
        )
