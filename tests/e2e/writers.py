"""Processes that register items and report the IDs; tests kill them."""

import multiprocessing
import os
import signal
import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

from service.registry import NewItem, Registry, open_database

__all__ = ["Writer", "all_ids", "check_suffixes", "colliding", "sqlite_is_whole"]

FINGERPRINT = "f"
_fork = multiprocessing.get_context("fork")


def colliding(name: str, number: int) -> list[NewItem]:
    """Return items that share five codes, so that they collide."""
    return [NewItem(f"{name}-{row}", (1, row % 5), 0.5) for row in range(number)]


class Writer:
    """A process with its own connections that registers items, 20 in a transaction."""

    def __init__(self, url: str, name: str, items: int | None = None) -> None:
        """Start the process.

        Args:
            items: how many to register; None registers until the process is killed.
        """
        self._read, write = os.pipe()
        self._process = _fork.Process(target=_register, args=(url, name, items, write))
        self._process.start()
        os.close(write)

    def killed_after(self, seconds: float) -> dict[str, str]:
        """Kill the process some seconds after its first report; return the reported IDs by item."""
        first = os.read(self._read, 1)
        time.sleep(seconds)
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        return self._reported(first)

    def finished(self) -> dict[str, str]:
        """Wait for the end of the process, and return the reported IDs by item."""
        reported = self._reported(b"")
        assert self._process.exitcode == 0
        return reported

    def _reported(self, start: bytes) -> dict[str, str]:
        with os.fdopen(self._read, "rb") as pipe:
            lines = (start + pipe.read()).decode().split("\n")
        self._process.join()
        # The kill may have cut the last line.
        return dict(line.split(" ") for line in lines[:-1])


def _register(url: str, name: str, items: int | None, pipe: int) -> None:
    database = open_database(url)
    registry = Registry(database, FINGERPRINT, levels=2)
    every = colliding(name, items) if items is not None else ()
    for start in count(0, 20):
        part: Sequence[NewItem] = every[start : start + 20]
        if items is None:
            part = colliding(f"{name}-{start}", 20)
        elif not part:
            break
        added = registry.add(part)
        os.write(pipe, "".join(f"{e.item_id} {e.semantic_id}\n" for e, _ in added).encode())
    database.close()
    os._exit(0)  # skips the exit handlers of the forked test run


def all_ids(url: str) -> dict[str, str]:
    """Return every item's ID, read through a new connection."""
    with open_database(url) as database:
        items = Registry(database, FINGERPRINT, levels=2).with_prefix((), 10**9)
    return {item.item_id: item.semantic_id for item in items}


def check_suffixes(ids: dict[str, str]) -> None:
    """Check that suffixes of equal codes are 0, 1, … without a gap or a repeat."""
    suffixes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for text in ids.values():
        first, second, suffix = (*map(int, text.split("-")), 0)[:3]
        suffixes[first, second].append(suffix)
    for given in suffixes.values():
        assert sorted(given) == list(range(len(given)))


def sqlite_is_whole(path: Path) -> bool:
    """Ask SQLite to check each page of a file."""
    with closing(sqlite3.connect(path)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))
