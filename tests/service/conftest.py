"""The `semid` command in this process, and a catalogue for it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from data_prep.demo import demo_items
from service.cli import main
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.http.security.guard import Access
from service.registry import Database, Registry, open_database
from tests.service.cli.command import Command, Outcome
from tests.service.databases import Open, Postgres, sqlite_url
from tokenizer.pipeline import Pipeline


@pytest.fixture
def semid(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run `semid` in an empty folder, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["semid", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "items.parquet"
    demo_items(300).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def application(
    pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Access], FastAPI]]:
    """Make applications over one registry, which is empty at the module's start."""
    folder = tmp_path_factory.mktemp("registry")
    database = open_database(f"sqlite:///{folder / 's.db'}")
    registry = Registry(database, pipeline.fingerprint, pipeline.levels)
    yield lambda access: create_app(Catalogue(pipeline, registry), access)
    database.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a real PostgreSQL server, without waits for the disk."""
    server = Postgres(durable=False)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, of each kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new()


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open registries of tokenizers of two levels, and close them at the end."""
    databases: list[Database] = []

    def open_(url: str, fingerprint: str = "f") -> Registry:
        databases.append(open_database(url))
        return Registry(databases[-1], fingerprint, levels=2)

    yield open_
    for database in databases:
        database.close()
