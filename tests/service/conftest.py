"""The `semid` command in this process, and a catalogue for it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from data_prep.demo import demo_items
from service.app import create_app
from service.catalogue import Catalogue
from service.cli import main
from service.registry import Registry
from service.security import Access
from tests.service.command import Command, Outcome
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
    registry = Registry(f"sqlite:///{folder / 's.db'}", pipeline.fingerprint, pipeline.levels)
    yield lambda access: create_app(Catalogue(pipeline, registry), access)
    registry.close()
