"""The whole registry as one table: all tokenizers, their IDs, titles and tombstones."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import sqlalchemy as sql

from service.registry.database import Database
from service.registry.entries import codes_of
from service.registry.migrations.schema import ids, owned_by, vectors
from service.registry.tokenizers import enrolled_tokenizers
from tokenizer.offline.id_table import SEMANTIC_IDS, written_ids

__all__ = ["COLUMNS", "KEY", "VECTOR", "export_registry"]

CHUNK = 100_000
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
    total = 0
    with database.reading() as connection:
        everyone = sorted(enrolled_tokenizers(connection), key=lambda one: not one.default)
        known = [{"fingerprint": one.fingerprint, "levels": one.levels} for one in everyone]
        schema = pl.DataFrame(schema=COLUMNS | VECTOR).to_arrow().schema
        with pq.ParquetWriter(path, schema.with_metadata({KEY: json.dumps(known)})) as file:
            for one in everyone:
                query = (
                    sql.select(ids, vectors.c.direction, vectors.c.length)
                    .select_from(ids.outerjoin(vectors, vectors.c.number == ids.c.number))
                    .where(owned_by(one.number))
                    .order_by(ids.c.number)
                )
                streamed = connection.execution_options(stream_results=True, yield_per=CHUNK)
                for rows in streamed.execute(query).partitions(CHUNK):
                    table = _table(rows, one.fingerprint)
                    file.write_table(table.to_arrow().cast(schema))
                    total += table.height
    return total


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
