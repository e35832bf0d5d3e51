"""A buffer between a writer and a slower reader: in memory while small, then in a file."""

import asyncio
import tempfile
from typing import Self

__all__ = ["ResponseBuffer"]

MAX_IN_MEMORY = 2**20  # bytes; more go to a file
READ_SIZE = 2**16  # bytes of one read


class ResponseBuffer:
    """A queue of bytes with bounded memory, whose writer does not wait for its reader.

    Most HTTP libraries send the whole body before they read the answer. If the server waited for
    such a client to read, both would wait for ever.
    """

    def __init__(self, most: int) -> None:
        """Open; use it as a context manager.

        Args:
            most: bytes that may wait to be read; beyond them the writer waits until all are read.
        """
        self._file = tempfile.SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115 - closed on exit
        self._most = most
        self._written = 0
        self._read = 0
        self._closed = False
        self._changed = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    async def write(self, data: bytes) -> None:
        """Append bytes."""
        while self._written > self._most:  # falls to 0 when all is read and the file is emptied
            await self._change()
        self._file.seek(self._written)
        self._file.write(data)
        self._written += len(data)
        self._changed.set()

    def end(self) -> None:
        """Note that nothing more will be written."""
        self._closed = True
        self._changed.set()

    async def read(self) -> bytes:
        """Return the next bytes, or b"" after the last."""
        while self._read == self._written:
            if self._closed:
                return b""
            await self._change()
        self._file.seek(self._read)
        data = self._file.read(READ_SIZE)
        self._read += len(data)
        if self._read == self._written:
            self._file.seek(0)
            self._file.truncate()
            self._read = self._written = 0
        self._changed.set()
        return data

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
