"""A SQLite file that several processes read and write at once."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection

from data_prep.errors import InputError
from service.registry.migrations.schema import VERSION_TABLE

__all__ = ["check_file", "sqlite_engine"]


def sqlite_engine(url: sql.URL) -> Engine:
    """Return an engine for the file that a URL names.

    Raises:
        InputError: as `check_file`.
    """
    check_file(url)
    engine = sql.create_engine(url)
    sql.event.listen(engine, "connect", _connected)
    sql.event.listen(engine, "begin", _begun)
    return engine


def check_file(url: sql.URL) -> None:
    """See, changing nothing, that a URL names a file that processes can share, ours or a new one.

    Raises:
        InputError: a database in memory, or one with tables of another program.
        sqlite3.Error: the file is no SQLite database.
    """
    if url.database in (None, "", ":memory:"):
        raise InputError(
            f"database {url} cannot be used: a SQLite file is needed, such as sqlite:///semid.db"
        )
    path = Path(str(url.database))
    if not path.is_file() or not path.stat().st_size:
        return
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        tables = {row[0] for row in connection.execute(query)}
    if tables and VERSION_TABLE not in tables:
        raise InputError(
            f"database {url} has a table {min(tables)!r} that is not semid's; "
            f"give another --database"
        )


def _connected(connection: DBAPIConnection, _: object) -> None:
    """Set a new connection up: write-ahead log, each commit on disk, waiting for other writers."""
    connection.isolation_level = None  # transactions begin where `_begun` says
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=60000")
    cursor.execute("PRAGMA synchronous=FULL")
    # The switch to WAL does not wait for another process that switches: try again for ten seconds.
    for attempt in range(100):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == 99:
                raise
            time.sleep(0.1)
    cursor.close()


def _begun(connection: Connection) -> None:
    """Take the write lock before the first read of a write, so that what it reads stays true.

    A write is a connection with the execution option `writing`.
    """
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
