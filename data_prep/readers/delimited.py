"""Large text files with a separator and no quotes → tables of text, block by block."""

import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.readers.published import open_published

__all__ = ["read_blocks"]

BLOCK = 2**25  # bytes
NEWLINE = ord("\n")


def read_blocks(
    path: Path,
    columns: Sequence[str],
    separator: bytes = b"\t",
    *,
    header: bool = True,
    encoding: str = "utf-8",
    block: int = BLOCK,
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the rows of a file as tables of text, each with the number of its first line from 1.

    An empty field is an empty text. Memory holds one block.

    Args:
        columns: names of all columns, in the file's order.
        separator: may have several bytes.
        header: whether the first line must name exactly these columns.

    Raises:
        InputError: a line has another number of fields, the header is another, or the text is not
            of the encoding; the message names the line.
    """
    first = 1
    for raw in _whole_lines(path, block):
        text = _utf8(raw, path, first, encoding).replace(b"\r\n", b"\n")
        if len(separator) > 1:
            text = text.replace(separator, b"\t")
        mark = b"\t" if len(separator) > 1 else separator
        if first == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
            if header:
                named, _, text = text.partition(b"\n")
                _check_header(named, columns, mark, path)
                first = 2
        if not text:
            continue
        lines = text.count(b"\n")
        _check_fields(text, len(columns), mark, path, first)
        frame = pl.read_csv(
            io.BytesIO(text),
            separator=mark.decode(),
            has_header=False,
            new_columns=list(columns),
            quote_char=None,
            infer_schema=False,
        ).fill_null("")
        if frame.height != lines:
            raise InputError(f"{path}: {frame.height} of {lines} lines from {first} could be read")
        yield first, frame
        first += lines


def _whole_lines(path: Path, size: int) -> Iterator[bytes]:
    """Yield parts of a file that end with a line break; one is added to the last line."""
    left = b""
    with open_published(path) as file:
        while True:
            try:
                part = file.read(size)
            except (OSError, EOFError, zlib.error) as error:
                raise InputError(f"{path} is not a readable gzip file: {error}") from error
            if not part:
                break
            whole, mark, rest = part.rpartition(b"\n")
            if mark:
                yield left + whole + mark
                left = rest
            else:
                left += part
    if left.strip():
        yield left + b"\n"


def _utf8(raw: bytes, path: Path, first: int, encoding: str) -> bytes:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = first + raw[: error.start].count(b"\n")
        raise InputError(
            f"{path}, line {line}: not {encoding.upper()} ({error.reason}); give the file as it "
            f"was published"
        ) from error
    return raw if encoding == "utf-8" else text.encode()


def _check_header(line: bytes, columns: Sequence[str], mark: bytes, path: Path) -> None:
    named = line.decode().split(mark.decode())
    if named == list(columns):
        return
    missing = [name for name in columns if name not in named]
    fault = f"no column {missing[0]!r}" if missing else "the columns stand in another order"
    shown = ", ".join(name[:40] for name in named[:20])
    raise InputError(
        f"{path}, line 1: {fault}; the header is {shown!r}, and {', '.join(columns)} is needed"
    )


def _check_fields(text: bytes, fields: int, mark: bytes, path: Path, first: int) -> None:
    letters = np.frombuffer(text, dtype=np.uint8)
    ends: NDArray[np.intp] = np.flatnonzero(letters == NEWLINE)
    marks = np.flatnonzero(letters == ord(mark))
    counts = np.diff(np.searchsorted(marks, ends), prepend=0) + 1
    wrong = counts != fields
    if wrong.any():
        at = int(wrong.argmax())
        start = 0 if at == 0 else int(ends[at - 1]) + 1
        begins = text[start : min(start + 40, int(ends[at]))].decode(errors="replace")
        found = "is empty" if ends[at] == start else f"has {counts[at]} fields, not {fields}"
        raise InputError(
            f"{path}, line {first + at}: {found} (it begins {begins!r}); correct the line: a "
            f"file that was cut short ends so"
        )
