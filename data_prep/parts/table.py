"""A table in parts: one parquet file or many, read piece by piece in constant memory."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.errors import InputError

__all__ = ["PartFile", "Parts"]

FOOTER = 2**16  # bytes at a file's end that tell whether it has changed
BUFFER = 2**20  # bytes read at once, so that a large row group need not be in memory
INSTALL = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
# A bucket that cannot be reached is told in seconds, not after minutes of retries.
IMPATIENT: Mapping[str, Mapping[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 5, "retries": {"max_attempts": 1}}},
}


@dataclass(frozen=True)
class PartFile:
    """One parquet file of a table.

    Attributes:
        url: path or URL.
        groups: number of rows of each row group.
        folders: columns from folder names, as `category=Beauty` (hive partitions).
        footer: SHA-256 of the file's last bytes and its size; changes with the contents.
    """

    url: str
    groups: tuple[int, ...]
    folders: tuple[tuple[str, str], ...]
    footer: str

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.groups)


@dataclass(frozen=True)
class Parts:
    """The files of a table in the order of their names; their rows are numbered through from 0.

    Attributes:
        source: what the user gave.
        columns: names of the columns, folder columns last.
    """

    source: str
    files: tuple[PartFile, ...]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, source: str) -> "Parts":
        """Find the files of a file, folder, pattern or URL, and read their footers.

        Files and folders whose names start with `.` or `_` are left out.

        Raises:
            InputError: there is no such file; one is no whole parquet file; their columns differ;
                or the storage cannot be reached.
        """
        system, urls = _listed(source)
        files, first = [], None
        for url in urls:
            file, schema = _opened(system, url)
            if first is None:
                first = schema
            _check_same_schema(schema, first, url, urls[0])
            if [name for name, _ in file.folders] != [name for name, _ in _folders(urls[0])]:
                raise InputError(f"{url} and {urls[0]} stand in folders of different columns")
            files.append(file)
        assert first is not None
        names = (*first.names, *(name for name, _ in files[0].folders if name not in first.names))
        found = cls(source, tuple(files), names)
        if not found.rows:
            raise InputError(f"{source}: the files have no rows; at least one is needed")
        return found

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """The number of the row after each file's last one."""
        return tuple(accumulate(file.rows for file in self.files))

    @property
    def rows(self) -> int:
        """Number of rows of all files."""
        return self.ends[-1]

    def place(self, row: int) -> str:
        """Name a row by its file and its number in it, from 1."""
        number = next(at for at, end in enumerate(self.ends) if row < end)
        file = self.files[number]
        return f"{file.url}, row {row - self.ends[number] + file.rows + 1:,}"

    def cuts(self, most: int, *, inside: bool = False) -> list[tuple[int, int]]:
        """Cut the rows into pieces (first, end) of at most `most` rows.

        Args:
            inside: also cut row groups; otherwise a larger row group is one piece. A piece that
                begins inside a row group skips the rows before it, which must be read for that.
        """
        pieces: list[tuple[int, int]] = []
        first = end = 0
        for rows in (rows for file in self.files for rows in file.groups):
            if end > first and end + rows - first > most:
                pieces.append((first, end))
                first = end
            end += rows
            while inside and end - first > most:
                pieces.append((first, first + most))
                first += most
        if end > first:
            pieces.append((first, end))
        return pieces

    def batches(
        self, first: int, end: int, size: int, columns: Sequence[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows first…end−1 in tables of at most `size` rows.

        Args:
            columns: names of the columns to read; None for all.

        Raises:
            InputError: a file cannot be read, or has changed.
        """
        begin = 0
        for file, stop in zip(self.files, self.ends, strict=True):
            if begin < end and stop > first:
                yield from _read(file, max(first - begin, 0), min(end, stop) - begin, size, columns)
            begin = stop

    def key(self) -> list[list[Any]]:
        """Return what tells these files from others, as plain values."""
        return [[file.url, file.rows, file.footer] for file in self.files]


def _is_pattern(source: str) -> bool:
    return any(sign in source for sign in "*?[")


def _listed(source: str) -> tuple[Any, list[str]]:
    """Return the file system of a source and the paths of its files, in order."""
    system, path = _file_system(source)
    root = path.rstrip("/") + "/"
    try:
        if _is_pattern(source) and not system.exists(path):
            found, root = system.glob(path), ""
        elif system.isdir(path):
            found = system.find(path)
        else:
            found = [path] if system.exists(path) else None
    except Exception as error:  # each storage has errors of its own
        raise _unreachable(source, error) from error
    if found is None:
        raise InputError(f"{source} does not exist; check the path")
    if found == [path]:
        return system, [path]
    urls = sorted(
        one
        for one in found
        if one.lower().endswith(".parquet")
        and not any(step.startswith((".", "_")) for step in one.removeprefix(root).split("/"))
    )
    if not urls:
        raise InputError(f"{source}: no .parquet file is there; give a file, a folder or a pattern")
    return system, urls


def _file_system(source: str) -> tuple[Any, str]:
    protocol = source.partition("://")[0] if "://" in source else "file"
    try:
        system, path = fsspec.core.url_to_fs(source, **IMPATIENT.get(protocol, {}))
    except ImportError as error:
        needed = INSTALL.get(protocol, "the package that fsspec names")
        raise InputError(f"{source}: {protocol}:// needs {needed}; pip install {needed}") from error
    except Exception as error:
        raise _unreachable(source, error) from error
    return system, path


def _unreachable(source: str, error: Exception) -> InputError:
    reason = (str(error) or type(error).__name__).partition("\n")[0]
    return InputError(
        f"{source} cannot be reached: {reason}; check the address, the network and the credentials"
    )


def _opened(system: Any, url: str) -> tuple[PartFile, pa.Schema]:
    def read(file: Any) -> tuple[PartFile, pa.Schema]:
        size = file.seek(0, 2)
        file.seek(max(0, size - FOOTER))
        digest = hashlib.sha256(str(size).encode() + file.read()).hexdigest()
        found = pq.ParquetFile(file)
        groups = tuple(found.metadata.row_group(at).num_rows for at in range(found.num_row_groups))
        named = url if _is_local(system) else system.unstrip_protocol(url)
        return PartFile(named, groups, _folders(url), digest), found.schema_arrow

    found: tuple[PartFile, pa.Schema] = _on_file(system, url, read)
    return found


def _on_file(system: Any, url: str, read: Callable[[Any], Any]) -> Any:
    try:
        with system.open(url, "rb") as file:
            return read(file)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"{url} is no whole parquet file: {reason}; write it again or take it away"
        ) from error
    except OSError as error:
        raise InputError(f"{url} cannot be read: {error.strerror or error}") from error


def _is_local(system: Any) -> bool:
    return "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,))


def _folders(url: str) -> tuple[tuple[str, str], ...]:
    steps = [step.partition("=") for step in url.split("/")[:-1]]
    return tuple((name, value) for name, sign, value in steps if sign and name)


def _check_same_schema(found: pa.Schema, first: pa.Schema, url: str, first_url: str) -> None:
    """Raise an error where a file has other columns, or a column of another type."""
    if found.equals(first):
        return
    for name in [*first.names, *found.names]:
        here = found.field(name).type if name in found.names else None
        there = first.field(name).type if name in first.names else None
        if here == there or (here is not None and there is not None and _alike(here, there)):
            continue
        raise InputError(
            f"column {name!r} is {here or 'missing'} in {url} and {there or 'missing'} in "
            f"{first_url}; all files of a table need the same columns"
        )


def _alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Return whether two types differ in their width alone."""
    kinds: tuple[Callable[[pa.DataType], bool], ...] = (
        lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_null(t),
        pa.types.is_integer,
        lambda t: pa.types.is_floating(t) or pa.types.is_null(t),
        lambda t: pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_null(t),
    )
    return any(kind(one) and kind(other) for kind in kinds)


def _read(
    file: PartFile, first: int, end: int, size: int, columns: Sequence[str] | None
) -> Iterator[pl.DataFrame]:
    """Yield rows first…end−1 of one file."""
    system, url = _file_system(file.url)
    own = [(name, value) for name, value in file.folders if columns is None or name in columns]
    starts = list(accumulate(file.groups, initial=0))
    groups = [
        at for at, rows in enumerate(file.groups) if starts[at] < end and starts[at] + rows > first
    ]
    try:
        with system.open(url, "rb") as opened:
            read = pq.ParquetFile(opened, buffer_size=BUFFER, pre_buffer=False)
            here = read.schema_arrow.names
            wanted = None if columns is None else [name for name in columns if name in here]
            row = starts[groups[0]] if groups else end
            for batch in read.iter_batches(size, row_groups=groups, columns=wanted):
                skip, keep = max(first - row, 0), min(end - row, batch.num_rows)
                row += batch.num_rows
                if keep <= skip:
                    continue
                frame = pl.from_arrow(batch.slice(skip, keep - skip))
                assert isinstance(frame, pl.DataFrame)
                yield frame.with_columns(
                    pl.lit(value).alias(name) for name, value in own if name not in here
                )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(f"{file.url} is damaged or has changed: {reason}") from error
    except OSError as error:
        raise InputError(f"{file.url} cannot be read: {error.strerror or error}") from error
