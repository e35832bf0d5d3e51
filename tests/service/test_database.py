"""Databases by URL: new ones, old ones, newer ones, other programs', and those that fail."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from data_prep.errors import InputError
from service.migrations import versions
from service.registry import Database, NewItem, open_database
from service.registry.schema import VERSION, VERSION_TABLE, schema
from service.registry.tokenizers import default_tokenizer
from tests.service.databases import Open, Postgres, sqlite_url

VERSION_0 = """
CREATE TABLE tokenizer (
    fingerprint VARCHAR NOT NULL, levels INTEGER NOT NULL, PRIMARY KEY (fingerprint)
);
CREATE TABLE items (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, item_id VARCHAR NOT NULL,
    codes BLOB NOT NULL, suffix INTEGER NOT NULL, distortion FLOAT NOT NULL, title VARCHAR,
    UNIQUE (codes, suffix), UNIQUE (item_id)
);
INSERT INTO tokenizer VALUES ('f', 2);
INSERT INTO items VALUES (1, 'a', x'00010002', 0, 0.5, 'Soap');
INSERT INTO items VALUES (4, 'b', x'00010002', 3, 0.25, NULL);
"""


def _execute(url: str, script: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.executescript(script)


def test_migrations_end_where_the_schema_stands(url: str) -> None:
    """Each table, column and constraint of the code is what the migrations made."""
    database = open_database(url)
    with database.writing() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, schema) == []
    assert versions()[0] == VERSION
    assert database.state() == "current"
    assert not database.upgrade()
    database.close()


def test_a_registry_of_version_0_is_upgraded_and_loses_nothing(
    tmp_path: Path, opened: Open
) -> None:
    url = sqlite_url(tmp_path)
    _execute(url, VERSION_0)
    before = (tmp_path / "semid.db").read_bytes()
    with pytest.raises(InputError, match=r"an older semid.*semid db upgrade --database"):
        open_database(url)
    assert (tmp_path / "semid.db").read_bytes()[100:] == before[100:]  # but the write-ahead mark
    database = Database(url)
    assert (database.state(), database.upgrade(), database.state()) == ("older", True, "current")
    default = default_tokenizer(database)
    database.close()
    assert default is not None
    assert (default.fingerprint, default.levels) == ("f", 2)
    registry = opened(url)
    items = registry.get(["a", "b"])
    assert [(i.number, i.semantic_id, i.distortion, i.title) for i in items.values()] == [
        (1, "1-2", 0.5, "Soap"),
        (4, "1-2-3", 0.25, None),
    ]
    assert registry.add([NewItem("c", (1, 2), 0.5)])[0][0].semantic_id == "1-2-4"
    assert [part.numbers.tolist() for part in registry.changes(0)] == [[1, 4, 5]]


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path,
) -> None:
    url = sqlite_url(tmp_path)
    _execute(url, VERSION_0)
    _execute(url, "INSERT INTO tokenizer VALUES ('g', 2)")  # two owners: number 1 twice
    database = Database(url)
    with pytest.raises(InputError, match="cannot be used"), database.refusing():
        database.upgrade()
    assert database.state() == "older"
    database.close()
    with closing(sqlite3.connect(tmp_path / "semid.db")) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (2,)


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(sql.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    assert database.state() == "newer"
    with pytest.raises(InputError, match="install the newer semid"):
        database.upgrade()
    database.close()
    with pytest.raises(InputError, match="install the newer semid"):
        open_database(url)


def test_the_database_writes_ahead(tmp_path: Path) -> None:
    """WAL: readers do not wait for the writer, in every connection of the file."""
    open_database(sqlite_url(tmp_path)).close()
    with closing(sqlite3.connect(tmp_path / "semid.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_many_may_open_a_new_database_at_once(
    tmp_path: Path, postgres: Postgres, opened: Open
) -> None:
    for number in range(5):
        for new in (f"sqlite:///{tmp_path / f'{number}.db'}", postgres.new()):
            with ThreadPoolExecutor(4) as pool:
                registries = list(pool.map(opened, [new] * 4))
            assert [registry.count() for registry in registries] == [0] * 4
            assert len({registry.tokenizer.origin for registry in registries}) == 1


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE items (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(InputError, match="a table 'items' that is not semid's"):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_tables_of_others_in_one_postgresql_database_are_passed_over(postgres: Postgres) -> None:
    url = postgres.new()
    plain = url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE TABLE items (name TEXT)")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    open_database(url).close()
    with psycopg.connect(plain) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (0,)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:secret@127.0.0.1:1/y?password=secret",
        "postgresql+psycopg2://u:secret@127.0.0.1:1/y",
        "sqlite:////nowhere/at/all.db",
        "nonsense",
        "nonsense:secret",
        "oracle://u:secret@x/y",
        "sqlite:///{text}",
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_secrets(
    tmp_path: Path, url: str
) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is not a database, but a longer text than its header")
    with pytest.raises(InputError, match="cannot be used") as refused:
        open_database(url.format(text=text))
    assert "secret" not in str(refused.value)
