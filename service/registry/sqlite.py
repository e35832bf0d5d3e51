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
    """Return an engine for the SQLite file at `url`.

    Raises:
        InputError: as `check_file`.
    """
    check_file(url)
    engine = sql.create_engine(url)
    sql.event.listen(engine, "connect", _on_connect)
    sql.event.listen(engine, "begin", _on_begin)
    return engine


def check_file(url: sql.URL) -> None:
    """Check that `url` names a registry's SQLite file or a new file; change nothing.

    Raises:
        InputError: the database is in memory, or the file holds another program's tables.
        sqlite3.Error: the file is not a SQLite database.
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


def _on_connect(connection: DBAPIConnection, _: object) -> None:
    """Set up a new connection: write-ahead log, every commit synced, a wait for other writers."""
    connection.isolation_level = None  # the driver begins no transactions; `_on_begin` does
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=60000")
    cursor.execute("PRAGMA synchronous=FULL")
    # busy_timeout does not cover two processes that switch to WAL at once, so retry for 10 s.
    for attempt in range(100):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == 99:
                raise
            time.sleep(0.1)
    cursor.close()


def _on_begin(connection: Connection) -> None:
    """Begin a transaction; a write takes the write lock first, so that what it reads stays true.

    A connection with the execution option `writing` is a write.
    """
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
