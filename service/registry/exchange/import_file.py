"""What `semid import` reads: an exported registry, or IDs of `semid tokenize`, chunk by chunk."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from data_prep.errors import InputError
from data_prep.parts.table import Parts
from data_prep.storage.files import existing_file
from data_prep.values.columns import Source, id_column, named_rows, title_column
from service.registry.exchange.export import COLUMNS, KEY, VECTOR
from tokenizer.offline.id_parts import KIND, open_id_files
from tokenizer.offline.id_table import SEMANTIC_IDS, written_ids

__all__ = ["ImportFile"]


@dataclass(frozen=True)
class ImportFile:
    """Rows to import.

    Attributes:
        levels: number of levels by tokenizer, the default tokenizer first.
    """

    path: Path
    table: Parts
    levels: dict[str, int]

    @classmethod
    def of(cls, path: Path) -> "ImportFile":
        """Open an exported registry, or a file or folder of IDs.

        Raises:
            InputError: it is neither.
        """
        if path.is_dir():
            table = open_id_files(path)
        else:
            existing_file(path)
            table = Parts.of(str(path))
        lacking = [name for name in SEMANTIC_IDS if name not in table.columns]
        if lacking:
            raise _neither(path)
        told = None if path.is_dir() else pl.read_parquet_metadata(path).get(KEY)
        if told is None:
            return cls(path, table, _levels_of_ids(path, table))
        try:
            levels = {str(one["fingerprint"]): int(one["levels"]) for one in json.loads(told)}
        except (KeyError, TypeError, ValueError) as error:
            raise _neither(path) from error
        return cls(path, table, levels)

    def chunks(self, size: int) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, with the columns of an exported registry, each row checked.

        Raises:
            InputError: a value is missing or contradicts another.
        """
        first = 0
        for rows in self.table.batches(0, self.table.rows, size):
            yield self._checked(rows, first)
            first += rows.height

    def check(self, size: int) -> None:
        """Check every row, and that no item and no ID is there twice by one tokenizer.

        It takes 8 bytes of memory a row.

        Raises:
            InputError: as `chunks`; an item or an ID is there twice.
        """
        for _ in self.chunks(size):
            pass
        for name in ("item_id", "semantic_id"):
            keys = pl.struct("tokenizer", name)
            hashed = [each.select(keys.hash()).to_series() for each in self._pairs(name, size)]
            hashes = np.sort(np.concatenate(hashed))
            twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
            if not len(twice):
                continue
            # Two texts may share a hash, so that the texts themselves are compared.
            suspects, first = [], 0
            for batch in self._pairs(name, size):
                rows = batch.with_row_index("row", first)
                suspects.append(rows.filter(keys.hash().is_in(pl.Series(twice).implode())))
                first += batch.height
            found = pl.concat(suspects).filter(pl.struct("tokenizer", name).is_duplicated())
            if found.height:
                where = ", ".join(str(row + 1) for row in found["row"].head(5))
                raise InputError(f"{self.path}: {name} is there twice (rows {where})")

    def _pairs(self, name: str, size: int) -> Iterator[pl.DataFrame]:
        return self.table.batches(0, self.table.rows, size, ["tokenizer", name])

    def _checked(self, rows: pl.DataFrame, first: int) -> pl.DataFrame:
        given = {"removed": pl.lit(value=False)} | {
            name: pl.lit(None) for name in ("title", *VECTOR)
        }
        lacking = {name: value for name, value in given.items() if name not in rows.columns}
        try:
            rows = rows.with_columns(**lacking).select(
                pl.col(name).cast(dtype) for name, dtype in (COLUMNS | VECTOR).items()
            )
        except pl.exceptions.PolarsError as error:
            raise _neither(self.path) from error
        place = f"{self.path}, from row {first + 1:,} on" if first else str(self.path)
        for name in COLUMNS:
            if name != "title" and rows[name].null_count():
                raise InputError(f"{place}: no {name!r} in {named_rows(rows[name].is_null())}")
        width = rows["tokenizer"].replace_strict(self.levels, default=None, return_dtype=pl.Int64)
        wrong = (rows["codes"].list.len() != width).fill_null(value=True)
        wrong |= rows.select(written_ids()).to_series() != rows["semantic_id"]
        if wrong.any():
            raise InputError(f"{place}: {named_rows(wrong)} are not IDs of the file's tokenizers")
        id_column(rows["item_id"], Source(place))
        title_column(rows["title"], Source(place))
        return rows


def _levels_of_ids(path: Path, table: Parts) -> dict[str, int]:
    first = next(table.batches(0, 1, 1, ["tokenizer", "codes"]))
    tokenizer, codes = first["tokenizer"][0], first["codes"][0]
    if tokenizer is None or codes is None:
        raise _neither(path)
    return {str(tokenizer): len(codes)}


def _neither(path: Path) -> InputError:
    return InputError(
        f"{path} is not a registry that semid export wrote, nor {KIND} that semid tokenize wrote"
    )
