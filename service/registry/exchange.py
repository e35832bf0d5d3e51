"""The whole registry as one table: all tokenizers, their IDs, titles and tombstones."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from data_prep.errors import InputError
from data_prep.readers.catalogue import read_table
from data_prep.values.columns import Source, id_column, named_rows, title_column
from data_prep.values.folding import folded_title
from service.registry.changes import newest_change
from service.registry.database import Database
from service.registry.entries import KeptVector, codes_of, key_of
from service.registry.migrations.schema import ids, promotions, tokenizers, vectors
from service.registry.tokenizers import enrol_in, enrolled_tokenizers
from service.registry.vectors import insert_vectors
from tokenizer.offline.id_table import SEMANTIC_IDS, written_ids

__all__ = ["export_registry", "import_registry"]

CHUNK = 5000
COLUMNS: dict[str, pl.DataType] = SEMANTIC_IDS | {
    "distortion": pl.Float64(),
    "title": pl.String(),
    "removed": pl.Boolean(),
}
VECTOR: dict[str, pl.DataType] = {"direction": pl.Binary(), "length": pl.Float64()}
KEY = "semid_registry"  # metadata key of the list of tokenizers, the default first


def export_registry(database: Database, path: Path) -> int:
    """Write the registry to a parquet file and return the number of rows.

    Each tokenizer's items keep the order in which they were added. The file is also a valid ID
    table, as `semid tokenize` writes it.
    """
    with database.reading() as connection:
        everyone = sorted(enrolled_tokenizers(connection), key=lambda one: not one.default)
        parts = [pl.DataFrame(schema=COLUMNS | VECTOR)]
        for one in everyone:
            query = (
                sql.select(ids, vectors.c.direction, vectors.c.length)
                .select_from(ids.outerjoin(vectors, vectors.c.number == ids.c.number))
                .where(ids.c.tokenizer == one.number)
                .order_by(ids.c.number)
            )
            chunks = connection.execute(query).partitions(100 * CHUNK)
            parts += [_table(rows, one.fingerprint) for rows in chunks]
    table = pl.concat(parts)
    known = [{"fingerprint": one.fingerprint, "levels": one.levels} for one in everyone]
    table.write_parquet(path, metadata={KEY: json.dumps(known)})
    return table.height


def import_registry(database: Database, path: Path) -> int:
    """Add the rows of an `export_registry` file that the database lacks; return their number.

    Raises:
        InputError: the file is not such a file, or contradicts itself or the database. Nothing is
            added then.
    """
    table, levels = _read(path)
    added = 0
    try:
        with database.writing() as connection:
            empty = not enrolled_tokenizers(connection)
            for fingerprint, width in levels.items():
                one = enrol_in(connection, fingerprint, width)
                if one.levels != width:
                    raise InputError(
                        f"{path}: tokenizer {fingerprint} has {width} levels here and "
                        f"{one.levels} in the database"
                    )
                own = table.filter(pl.col("tokenizer") == fingerprint)
                for rows in own.iter_slices(CHUNK):
                    added += _add(connection, one.number, rows.to_dicts(), path)
            if empty and levels:
                _set_default(connection, next(iter(levels)))
    except sql.exc.IntegrityError as error:
        raise InputError(
            f"{path}: an ID belongs to another item in the database ({error.orig}); import into "
            f"the database that it comes from, or an empty one"
        ) from error
    return added


def _table(rows: Any, fingerprint: str) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "item_id": [row.item_id for row in rows],
            "codes": [codes_of(row.codes) for row in rows],
            "suffix": [row.suffix for row in rows],
            "distortion": [row.distortion for row in rows],
            "title": [row.title for row in rows],
            "removed": [row.removed for row in rows],
            "direction": [row.direction for row in rows],
            "length": [row.length for row in rows],
        },
        schema_overrides=COLUMNS | VECTOR,
    )
    return frame.with_columns(
        semantic_id=written_ids(), tokenizer=pl.lit(fingerprint, dtype=pl.String())
    ).select(*COLUMNS, *VECTOR)


def _read(path: Path) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the table, and the number of levels by tokenizer, the default tokenizer first."""
    table = read_table(path)
    try:
        known = json.loads(pl.read_parquet_metadata(path)[KEY])
        levels = {str(one["fingerprint"]): int(one["levels"]) for one in known}
        lacking = {name: pl.lit(None) for name in VECTOR if name not in table.columns}
        table = table.with_columns(**lacking).select(
            pl.col(name).cast(dtype) for name, dtype in (COLUMNS | VECTOR).items()
        )
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path} is not a registry that semid export wrote") from error
    for name in COLUMNS:
        if name != "title" and table[name].null_count():
            raise InputError(f"{path}: no {name!r} in {named_rows(table[name].is_null())}")
    width = table["tokenizer"].replace_strict(levels, default=None, return_dtype=pl.Int64)
    wrong = (table["codes"].list.len() != width).fill_null(value=True)
    wrong |= table.select(written_ids()).to_series() != table["semantic_id"]
    if wrong.any():
        raise InputError(f"{path}: {named_rows(wrong)} are not IDs of the file's tokenizers")
    source = Source(str(path))
    id_column(table["item_id"], source)
    title_column(table["title"], source)
    for name in ("item_id", "semantic_id"):
        twice = table.select(pl.struct("tokenizer", name).is_duplicated()).to_series()
        if twice.any():
            raise InputError(f"{path}: {name} is there twice ({named_rows(twice)})")
    return table, levels


def _add(connection: Connection, tokenizer: int, rows: list[dict[str, Any]], path: Path) -> int:
    query = sql.select(ids).where(
        ids.c.tokenizer == tokenizer, ids.c.item_id.in_([row["item_id"] for row in rows])
    )
    known = {row.item_id: row for row in connection.execute(query)}
    fresh = []
    for change, row in _numbered(rows, known, newest_change(connection, tokenizer)):
        own = {name: row[name] for name in ("item_id", "suffix", "distortion", "title", "removed")}
        own["codes"] = key_of(row["codes"])
        there = known.get(row["item_id"])
        if there is None:
            derived = {"folded": folded_title(row["title"]), "change": change}
            fresh.append(own | derived | {"tokenizer": tokenizer})
        elif differing := [name for name in own if getattr(there, name) != own[name]]:
            raise InputError(
                f"{path}: item {row['item_id']!r} ({row['semantic_id']}) has another "
                f"{differing[0]} in the database; nothing was imported; import into the database "
                f"that it comes from, or an empty one"
            )
    if fresh:
        connection.execute(ids.insert(), fresh)
        kept = {row["item_id"]: row for row in rows if row["direction"] is not None}
        query = sql.select(ids.c.item_id, ids.c.number).where(
            ids.c.tokenizer == tokenizer, ids.c.item_id.in_(list(kept.keys() - known.keys()))
        )
        insert_vectors(
            connection,
            {
                row.number: KeptVector(kept[row.item_id]["direction"], kept[row.item_id]["length"])
                for row in connection.execute(query)
            },
        )
    return len(fresh)


def _numbered(
    rows: list[dict[str, Any]], known: dict[str, Any], change: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row with a change number; only a new row advances the number."""
    for row in rows:
        change += row["item_id"] not in known
        yield change, row


def _set_default(connection: Connection, fingerprint: str) -> None:
    number = sql.select(tokenizers.c.number).where(tokenizers.c.fingerprint == fingerprint)
    connection.execute(promotions.insert(), {"tokenizer": connection.scalar(number)})
