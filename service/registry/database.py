"""The database of the registry: SQLite or PostgreSQL by URL, its transactions, its version."""

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
    """Transactions on the registry's tables; nothing is asked of the database before the first."""

    def __init__(self, url: str) -> None:
        """Name the database at `url`.

        Raises:
            InputError: the URL is none, or names a SQLite file of another program.
        """
        try:
            parsed = sql.make_url(url)
        except sql.exc.ArgumentError as error:
            raise InputError(
                "the database cannot be used: its URL is not like sqlite:///semid.db or "
                "postgresql+psycopg://user@host/name"
            ) from error
        # Without the secrets that a URL may hold.
        self.name = parsed.set(query={}).render_as_string(hide_password=True)
        with self.refusing():
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
        """Yield the connection of the one transaction that writes now; others wait.

        It is committed at the end of the block, and undone after an exception.
        """
        with (
            self._engine.connect().execution_options(writing=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Turn errors of the database, in a command, into an InputError that names it."""
        try:
            yield
        except (sql.exc.SQLAlchemyError, sqlite3.Error) as error:
            reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
            raise InputError(
                f"database {self.name} cannot be used: {reason}; see that it can be reached and "
                f"written, or give another URL, such as sqlite:///semid.db"
            ) from error

    def state(self) -> State:
        """Compare the database's schema with this program's; a file that lacks is not made."""
        if not self.is_there():
            return "empty"
        with self.reading() as connection:
            return _state(connection)

    def is_there(self) -> bool:
        """Say whether there is a file, where the database is one."""
        file = self._engine.url.database
        return self._engine.dialect.name != "sqlite" or Path(str(file)).exists()

    def upgrade(self) -> bool:
        """Bring the schema to this program's version in one transaction; say whether it was not.

        Raises:
            InputError: the schema is a newer semid's.
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
        """See that the database is this program's.

        Args:
            new: make the tables in an empty one.

        Raises:
            InputError: its schema is older or newer, or it is empty and not to be new; names the
                remedy.
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
                    f"database {self.name} holds no registry; give the --database that semid serve "
                    f"has, or make one by semid db upgrade"
                )
            self.upgrade()

    def beside(self, name: str, folder: Path | None) -> Path | None:
        """Return where a file that belongs to the database stands: in `folder`, or beside SQLite's.

        None without a folder for a database that is no file.
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
        new: whether an empty database becomes a registry.

    Raises:
        InputError: the database cannot be used, its schema is another version's, or it is empty.
    """
    database = Database(url)
    try:
        with database.refusing():
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
