"""Suffixes of a whole catalogue by sorting its packed codes, beyond what memory holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenizer.ids.semantic_id import Codes

__all__ = ["SuffixSort"]

MOST = 2**24  # rows sorted at once: 16 to 24 bytes each, and as much again while they are sorted
ODD = 0x9E3779B97F4A7C15  # spreads keys over buckets


class SuffixSort:
    """Gives rows the suffixes of `tokenizer.ids.semantic_id.assign_suffixes`, without a dictionary.

    Codes are packed into 64-bit words and written to buckets by a hash of the words; equal codes
    share a bucket. In each bucket a stable sort brings equal codes together in row order, and a
    row's suffix is its rank among them, after those of the known IDs.
    """

    def __init__(
        self,
        work: Path,
        levels: int,
        codebook_size: int,
        rows: int,
        known: int = 0,
        most: int = MOST,
    ) -> None:
        """Begin with no rows.

        Args:
            work: folder for files of 16 bytes a row or a little more.
            rows: number of rows that will be added.
            known: number of known IDs that will be added before them.
            most: rows of a bucket, about.
        """
        bits = max(1, (codebook_size - 1).bit_length())
        self._a_word = 64 // bits
        self._bits, self._words = bits, -(-levels // self._a_word)
        self._type = np.dtype([("words", "<u8", (self._words,)), ("row", "<i8")])
        self._work, self._total = work, rows
        self._files: list[Any] = [
            (work / f"codes-{bucket}").open("w+b")
            for bucket in range(max(1, -(-(rows + known) // most)))
        ]
        self._row = 0

    def add_known(self, codes: Codes, suffixes: NDArray[np.uint32]) -> None:
        """Add known IDs: codes (n, L) and suffixes (n,); before all `add`."""
        self._spill(codes, -1 - suffixes.astype(np.int64))

    def add(self, codes: Codes) -> None:
        """Add the codes (n, L) of the next rows."""
        self._spill(codes, np.arange(self._row, self._row + len(codes)))
        self._row += len(codes)

    def suffixes(self) -> NDArray[np.uint32]:
        """Return the suffix of each row, (rows,), mapped from a file; end the sort."""
        assert self._row == self._total
        found: NDArray[np.uint32] = np.memmap(
            self._work / "suffixes", np.uint32, "w+", shape=(max(1, self._total),)
        )
        for records in self._buckets():
            rows, suffixes = _ranks(records)
            found[rows] = suffixes
        return found[: self._total]

    def _spill(self, codes: Codes, rows: NDArray[np.int64]) -> None:
        records = np.empty(len(codes), self._type)
        records["words"], records["row"] = self._packed(codes), rows
        if len(self._files) == 1:
            self._files[0].write(records.tobytes())
            return
        with np.errstate(over="ignore"):
            mixed = (records["words"] * np.uint64(ODD)).sum(axis=1, dtype=np.uint64) >> np.uint64(
                32
            )
        buckets = mixed % np.uint64(len(self._files))
        order = np.argsort(buckets, kind="stable")
        ends = np.searchsorted(buckets[order], np.arange(1, len(self._files)))
        for file, part in zip(self._files, np.split(records[order], ends), strict=True):
            file.write(part.tobytes())

    def _packed(self, codes: Codes) -> NDArray[np.uint64]:
        """Pack codes (n, L) into words (n, W), the first code highest."""
        words = np.zeros((len(codes), self._words), np.uint64)
        for level in range(codes.shape[1]):
            word = words[:, level // self._a_word]
            word <<= np.uint64(self._bits)
            word |= codes[:, level].astype(np.uint64)
        return words

    def _buckets(self) -> Iterator[NDArray[np.void]]:
        for file in self._files:
            file.seek(0)
            yield np.frombuffer(file.read(), self._type)
            file.close()


def _ranks(records: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Return the rows of a bucket's records and their suffixes."""
    words = records["words"]
    order = np.lexsort(words.T[::-1])  # stable: equal codes stay in the order of arrival
    words, row = words[order], records["row"][order]
    if not len(row):
        return row, row.astype(np.uint32)
    begins = np.flatnonzero(np.r_[True, (words[1:] != words[:-1]).any(axis=1)])
    lengths = np.diff(np.r_[begins, len(row)])
    new = row >= 0
    before: NDArray[np.int64] = np.cumsum(new) - new  # new rows before each one
    rank: NDArray[np.int64] = before - np.repeat(before[begins], lengths)
    first = np.maximum.reduceat(np.where(new, 0, -row), begins)  # −row is a known suffix + 1
    suffix = rank + np.repeat(first, lengths)
    return row[new], suffix[new].astype(np.uint32)
