"""IDs in parts: a folder that `semid tokenize` wrote, read part by part."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from data_prep.errors import InputError
from data_prep.parts.run_folder import Manifest, PartEntry, read_manifest
from data_prep.parts.table import Parts
from tokenizer.ids.semantic_id import Codes
from tokenizer.offline.id_table import SEMANTIC_IDS, check_rows

__all__ = ["KIND", "IdParts", "code_matrix", "open_id_files"]

KIND = "semantic ids"
BATCH = 2**17


@dataclass(frozen=True)
class IdParts:
    """IDs of one tokenizer in a file or in the parts of a folder.

    Attributes:
        parts: the entries of the folder's manifest; empty for a file.
    """

    table: Parts
    parts: tuple[PartEntry, ...]
    levels: int
    codebook_size: int

    @classmethod
    def of(cls, path: Path, tokenizer: str, levels: int, codebook_size: int) -> "IdParts":
        """Open IDs; a folder's parts are checked against its manifest.

        Raises:
            InputError: they are another tokenizer's, or a part is missing or has changed.
        """
        parts: tuple[PartEntry, ...] = ()
        if path.is_dir():
            manifest = _manifest(path)
            if manifest.of != tokenizer:
                raise InputError(
                    f"{path} holds IDs of tokenizer {manifest.of}, not of {tokenizer}; use the "
                    f"tokenizer that made them"
                )
            parts, table = manifest.parts, _table(path, manifest)
        else:
            table = Parts.of(str(path))
        missing = [name for name in SEMANTIC_IDS if name not in table.columns]
        if missing:
            raise InputError(
                f"{path}: no column {missing[0]!r}; a table that semid tokenize wrote is needed"
            )
        found = cls(table, parts, levels, codebook_size)
        found._check_tokenizer(tokenizer)
        return found

    def batches(self, columns: tuple[str, ...] = tuple(SEMANTIC_IDS)) -> Iterator[pl.DataFrame]:
        """Yield the IDs in order, some rows at a time."""
        yield from self.table.batches(0, self.table.rows, BATCH, columns)

    def checked(self, *, suffixes: bool) -> Iterator[pl.DataFrame]:
        """Yield the IDs in order, each row checked to be one that the tokenizer can give.

        Args:
            suffixes: whether the tokenizer gives suffixes.

        Raises:
            InputError: a value is missing, or a row contradicts itself.
        """
        first = 0
        for batch in self.batches():
            place = f"{self.table.place(first)} ff."
            first += batch.height
            yield check_rows(batch, place, self.levels, self.codebook_size, suffixes=suffixes)

    def _check_tokenizer(self, tokenizer: str) -> None:
        first = 0
        for batch in self.batches(("tokenizer",)):
            other = batch.filter(pl.col("tokenizer").cast(pl.String) != tokenizer)
            if other.height:
                raise InputError(
                    f"{self.table.place(first)} ff. hold IDs of tokenizer {other['tokenizer'][0]}, "
                    f"not of {tokenizer}; use the tokenizer that made them"
                )
            first += batch.height


def open_id_files(folder: Path) -> Parts:
    """Open the parts of a folder of IDs, checked against its manifest.

    Raises:
        InputError: the folder has no manifest yet, or a part is missing or has changed.
    """
    return _table(folder, _manifest(folder))


def _manifest(folder: Path) -> Manifest:
    found = read_manifest(folder, KIND)
    if found is None:
        raise InputError(
            f"{folder} has no manifest.json: the run that writes it has not ended; run the same "
            f"semid tokenize again, and it goes on"
        )
    return found


def _table(folder: Path, manifest: Manifest) -> Parts:
    files = [Parts.of(str(folder / part.name)).files[0] for part in manifest.parts]
    return Parts(str(folder), tuple(files), tuple(SEMANTIC_IDS))


def code_matrix(codes: pl.Series, levels: int) -> Codes:
    """Return a column of lists of codes as (n, L) uint16."""
    flat = codes.explode(empty_as_null=False) if len(codes) else codes.explode()
    return np.ascontiguousarray(flat.to_numpy(), dtype=np.uint16).reshape(-1, levels)
