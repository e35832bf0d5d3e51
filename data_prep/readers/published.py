"""Files of public data sets as their publishers give them; what stands in their place is named."""

import gzip
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import polars as pl

from data_prep.errors import InputError
from data_prep.storage.files import existing_file

__all__ = ["AS_PUBLISHED", "open_published", "published_file", "scan_published"]

POINTER = b"version https://git-lfs.github.com/spec/"
AS_PUBLISHED = "give the file as it was published"
GZIP = b"\x1f\x8b"


def published_file(path: Path) -> Path:
    """Return `path` if it is a file with data.

    Raises:
        InputError: the file is missing or empty, a Git-LFS pointer, or a tar archive.
    """
    existing_file(path)
    with path.open("rb") as file:
        start = file.read(len(POINTER))
    if not start:
        raise InputError(f"{path}: the file is empty; download it again")
    if start == POINTER:
        raise InputError(
            f"{path} is a Git-LFS pointer of {path.stat().st_size} bytes, not the data; run git "
            f"lfs pull in the folder that was cloned, or download the file itself"
        )
    if tarfile.is_tarfile(path):
        raise InputError(
            f"{path} is a tar archive; extract it (tar -xf {path.name}) and give the files in it"
        )
    return path


def open_published(path: Path) -> IO[bytes]:
    """Open a published file, plain or gzipped.

    Raises:
        InputError: as `published_file`.
    """
    file = published_file(path).open("rb")
    if file.peek(2)[:2] != GZIP:
        return file
    file.close()
    return cast("IO[bytes]", gzip.open(path))


def scan_published(
    paths: Sequence[Path], needed: Sequence[str], remedy: str = AS_PUBLISHED
) -> pl.LazyFrame:
    """Return the rows of parquet files one after the other; nothing is read yet.

    Args:
        needed: columns that every file must have; the result has no others.
        remedy: what to do where a column is missing.

    Raises:
        InputError: a file cannot be read as parquet or lacks a column; as `published_file`.
    """
    frames = []
    for path in paths:
        published_file(path)
        try:
            frame = pl.scan_parquet(path, glob=False)
            columns = frame.collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{path} is not a readable parquet file: {reason}") from error
        missing = [name for name in needed if name not in columns]
        if missing:
            raise InputError(
                f"{path}: no column {missing[0]!r}; it has {', '.join(columns)}; {remedy}"
            )
        frames.append(frame.select(pl.col(name).cast(pl.String, strict=False) for name in needed))
    return pl.concat(frames)
