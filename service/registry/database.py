"""The registry's database, SQLite or PostgreSQL: its transactions and its schema version."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from data_prep.errors import InputError
from service.registry.migrations.schema import VERSION, VERSION_TABLE
from service.registry.postgres import postgres_engine
from service.registry.sqlite import sqlite_engine

__all__ = ["Database", "State", "open_database"]

State = Literal["empty", "older", "current", "newer"]
_version = sql.table(VERSION_TABLE, sql.column("version_num"))
ENGINES = {"sqlite": sqlite_engine, "postgresql": postgres_engine}


class Database:
    """Transactions on the registry's tables; the first one opens the connection."""

    def __init__(self, url: str) -> None:
        """Prepare access to the database at `url`.

        Raises:
            InputError: the URL is not valid, or names another program's SQLite file.
        """
        try:
            parsed = sql.make_url(url)
        except sql.exc.ArgumentError as error:
            raise InputError(
                "the database cannot be used: its URL is not like sqlite:///semid.db or "
                "postgresql+psycopg://user@host/name"
            ) from error
        # The name goes into messages, so it must not hold the URL's secrets.
        self.name = parsed.set(query={}).render_as_string(hide_password=True)
        with self.faults_named():
            self._engine = _engine(parsed, self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the database."""
        with self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a write transaction; other writers wait until it ends.

        The end of the block commits it; an exception rolls it back.
        """
        with (
            self._engine.connect().execution_options(writing=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def faults_named(self) -> Iterator[None]:
        """Convert the block's database errors to an InputError that names the database."""
        try:
            yield
        except (sql.exc.SQLAlchemyError, sqlite3.Error) as error:
            reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
            raise InputError(
                f"database {self.name} cannot be used: {reason}; check that it can be reached and "
                f"written, or give another URL, such as sqlite:///semid.db"
            ) from error

    def state(self) -> State:
        """Compare the database's schema with this program's; a missing file is not created."""
        if not self.is_there():
            return "empty"
        with self.reading() as connection:
            return _state(connection)

    def is_there(self) -> bool:
        """Return whether the SQLite file exists; always True for PostgreSQL."""
        file = self._engine.url.database
        return self._engine.dialect.name != "sqlite" or Path(str(file)).exists()

    def upgrade(self) -> bool:
        """Upgrade the schema to this program's version in one transaction.

        Returns False if the schema had this version already.

        Raises:
            InputError: a newer semid made the schema.
        """
        with self.writing() as connection:
            state = _state(connection)
            if state == "newer":
                raise self._newer()
            if state == "current":
                return False
            from service.registry.migrations import migrate

            migrate(connection)
            return True

    def check(self, *, new: bool) -> None:
        """Check that the database's schema has this program's version.

        Args:
            new: whether to create the tables in an empty database.

        Raises:
            InputError: the schema is older or newer, or the database is empty and `new` is False.
        """
        state = self.state()
        if state == "older":
            raise InputError(
                f"database {self.name} has the schema of an older semid; back it up and run "
                f"semid db upgrade --database {self.name}"
            )
        if state == "newer":
            raise self._newer()
        if state == "empty":
            if not new:
                raise InputError(
                    f"database {self.name} holds no registry; give the --database of semid "
                    f"serve, or make a registry with semid db upgrade"
                )
            self.upgrade()

    def beside(self, name: str, folder: Path | None) -> Path | None:
        """Return the path of a file that belongs to the database.

        The file is in `folder` if that is given, else beside the SQLite file. PostgreSQL without a
        folder gives None.
        """
        if folder is not None:
            return folder / f"semid.{name}"
        if self._engine.dialect.name != "sqlite":
            return None
        return Path(f"{self._engine.url.database}.{name}")

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _newer(self) -> InputError:
        return InputError(
            f"database {self.name} has the schema of a newer semid than this one, which reads "
            f"version {VERSION}; install the newer semid, or give another --database"
        )


def open_database(url: str, *, new: bool = True) -> Database:
    """Open a registry.

    Args:
        new: whether to create the tables in an empty database.

    Raises:
        InputError: the database cannot be used, its schema has another version, or the database
            is empty and `new` is False.
    """
    database = Database(url)
    try:
        with database.faults_named():
            database.check(new=new)
    except InputError:
        database.close()
        raise
    return database


def _engine(url: sql.URL, name: str) -> Engine:
    make = ENGINES.get(url.get_backend_name())
    if make is None:
        raise InputError(
            f"database {name} cannot be used: SQLite and PostgreSQL can, such as "
            f"sqlite:///semid.db or postgresql+psycopg://user@host/name"
        )
    return make(url)


def _state(connection: Connection) -> State:
    if not sql.inspect(connection).has_table(VERSION_TABLE):
        return "empty"
    found = connection.scalar(sql.select(_version.c.version_num))
    if found == VERSION:
        return "current"
    from service.registry.migrations import versions

    return "older" if found in (None, *versions()) else "newer"
