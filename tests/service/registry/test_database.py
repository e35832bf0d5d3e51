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
from service.registry import Database, NewItem, Registry, open_database
from service.registry.migrations import migrate, versions
from service.registry.migrations.schema import VERSION, VERSION_TABLE, schema
from tests.service.databases import Open, Postgres, sqlite_url


def _execute(url: str, script: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.executescript(script)


def test_migrations_end_where_the_schema_stands(url: str) -> None:
    """Each table, column and constraint of the code is what the migrations made."""
    database = open_database(url)
    with database.writing() as connection:
        opts = {
            "version_table": VERSION_TABLE,
            # The words of titles stand in each database's own kind of table.
            "include_name": lambda name, kind, _: (
                kind != "table" or not str(name).startswith("semid_words")
            ),
        }
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, schema) == []
    assert versions()[0] == VERSION
    assert database.state() == "current"
    assert not database.upgrade()
    database.close()


def test_a_schema_of_an_older_semid_is_refused_until_it_is_upgraded(url: str) -> None:
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(sql.text(f"DELETE FROM {VERSION_TABLE}"))
    assert database.state() == "older"
    database.close()
    with pytest.raises(InputError, match=r"an older semid.*semid db upgrade --database"):
        open_database(url)


def test_an_upgrade_folds_the_titles_that_are_there(url: str) -> None:
    """A registry of the version before, with items in several parts; nothing else changes."""
    database = Database(url)
    with database.writing() as connection:
        migrate(connection, "0001")
        connection.execute(sql.text("INSERT INTO semid_tokenizers VALUES (1, 'f', 2, 'drawn')"))
        insert = sql.text(
            "INSERT INTO semid_ids (tokenizer, item_id, codes, suffix, distortion, title, removed,"
            " change) VALUES (1, :item, :codes, 0, 0.5, :title, :removed, :change)"
        )
        titles = ["Čaj zelený", None, "Čaj", "Soap", "", "ČAJ", *["Soap"] * 2000, "Caj"]
        rows = [
            {"item": f"i{row}", "codes": row.to_bytes(4), "change": row + 1, "title": title}
            for row, title in enumerate(titles)
        ]
        connection.execute(insert, [row | {"removed": row["item"] == "i5"} for row in rows])
    assert database.state() == "older"
    assert database.upgrade()
    registry = Registry(database, "f", levels=2)
    found, number = registry.search_titles("čaj", 9)
    assert [item.item_id for item in found] == ["i0", "i2", "i2006"]
    assert number == 3
    assert [item.title for item in registry.with_prefix((), 3000)] == [
        title for row, title in enumerate(titles) if row != 5
    ]
    registry.add([NewItem("i5", (0, 0), 0.5)])
    assert registry.search_titles("čaj", 9)[1] == 4
    database.close()


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    """The last table is in the way; the first ones are not made either."""
    url = sqlite_url(tmp_path)
    database = Database(url)
    _execute(url, "CREATE TABLE semid_ids (number INTEGER)")
    with pytest.raises(InputError, match="cannot be used"), database.faults_named():
        database.upgrade()
    assert database.state() == "empty"
    database.close()
    with closing(sqlite3.connect(tmp_path / "semid.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("semid_ids",)]


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
