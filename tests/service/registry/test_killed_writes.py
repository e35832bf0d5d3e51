"""A process killed in the middle of a long write leaves the registry as it was."""

import multiprocessing
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_prep.values import folding
from service.registry import Database, NewItem, Registry, open_database
from service.registry.exchange import export_registry, import_registry
from service.registry.exchange.import_file import ImportFile
from service.registry.migrations import migrate
from service.registry.vectors import VectorStore, packed
from service.registry.words import MOST_COUNTED
from tests.service.databases import Open, sqlite_url

_fork = multiprocessing.get_context("fork")
ROWS, CHUNK = 6000, 1000


def _items(rows: int) -> list[NewItem]:
    return [NewItem(f"i{row}", (row % 50, 7), 0.5, f"Title {row}") for row in range(rows)]


def _killed(write: Callable[[Callable[[], None]], object]) -> None:
    """Run a write in another process, which calls what it is given when it is midway, and dies."""
    read, told = os.pipe()

    def midway() -> None:
        os.write(told, b"m")
        time.sleep(60)

    def run() -> None:
        write(midway)
        os._exit(0)

    process = _fork.Process(target=run)
    process.start()
    os.close(told)
    try:
        assert select.select([read], [], [], 60)[0], "the write hangs"
        assert os.read(read, 1) == b"m", "the write ended before it was midway"
    finally:
        os.close(read)
        process.kill()
        process.join()


def _at(call: int, midway: Callable[[], None]) -> Callable[[int], None]:
    """Return a progress that calls `midway` at a call."""
    calls = iter(range(10**6))
    return lambda _: midway() if next(calls) == call else None


def _chunks(items: Sequence[NewItem]) -> Iterator[list[NewItem]]:
    for start in range(0, len(items), CHUNK):
        yield list(items[start : start + CHUNK])


def test_ids_are_taken_over_all_or_none(url: str, opened: Open) -> None:
    """As `semid serve --ids` does; the next start takes them over."""
    table = [
        NewItem(item.item_id, (row, 7), 0.5, suffix=0) for row, item in enumerate(_items(ROWS))
    ]
    open_database(url).close()

    def write(midway: Callable[[], None]) -> None:
        with open_database(url) as database:
            Registry(database, "f", levels=2).take_over(_chunks(table), _at(3, midway))

    _killed(write)
    registry = opened(url)
    assert registry.count() == 0
    registry.take_over(_chunks(table), lambda _: None)
    assert registry.count() == ROWS
    assert [item.suffix for item in registry.with_prefix((), ROWS)] == [0] * ROWS


def test_titles_are_set_all_or_none(url: str, opened: Open) -> None:
    opened(url).add(_items(2000))
    new = [[(f"i{row}", "New") for row in range(start, start + 500)] for start in (0, 500, 1000)]

    def write(midway: Callable[[], None]) -> None:
        with open_database(url) as database:
            Registry(database, "f", levels=2).set_titles(new, _at(2, midway))

    _killed(write)
    registry = opened(url)
    assert registry.search_titles("new", 1)[1] == 0
    registry.set_titles(new, lambda _: None)
    assert len(registry.search_titles("new", 2000)[0]) == 1500


def test_an_id_and_its_vector_are_written_together(
    url: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies after the IDs and before their vectors leaves neither."""
    vectors = packed(np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32))
    items = [
        replace(item, vector=vector) for item, vector in zip(_items(500), vectors, strict=True)
    ]
    open_database(url).close()

    def write(midway: Callable[[], None]) -> None:
        def stopping(*_: object) -> None:
            midway()

        monkeypatch.setattr("service.registry.registry.insert_vectors", stopping)
        with open_database(url) as database:
            Registry(database, "f", levels=2).add(items)

    _killed(write)

    registry = opened(url)
    assert (registry.count(), VectorStore(registry).count()) == (0, 0)
    registry.add(items)
    assert (registry.count(), VectorStore(registry).count()) == (500, 500)


def _stop_folding(midway: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the 1500th title that is folded be the middle."""
    fold = folding.folded
    calls = iter(range(10**6))

    def stopping(text: str) -> str:
        if next(calls) == 1500:
            midway()
        return fold(text)

    monkeypatch.setattr(folding, "folded", stopping)


IMPORT = """
import sys, time
from pathlib import Path
from service.registry import open_database
from service.registry.exchange import import_registry, importing
from service.registry.exchange.import_file import ImportFile
insert, parts = importing.bulk_insert, iter(range(10**6))
def stopping(*arguments):
    insert(*arguments)
    if next(parts) == 3:
        print("m", flush=True)
        time.sleep(60)
importing.ROWS, importing.bulk_insert = 500, stopping
with open_database(sys.argv[1]) as database:
    import_registry(database, ImportFile.of(Path(sys.argv[2])))
"""


def test_a_killed_import_keeps_whole_chunks_and_goes_on(
    tmp_path: Path, url: str, opened: Open
) -> None:
    """In a process of its own, as Polars does not work in one that was forked."""
    (tmp_path / "other").mkdir()
    other = opened(sqlite_url(tmp_path / "other"))
    other.add(_items(3000))
    table = tmp_path / "all.parquet"
    export_registry(other.database, table)
    command = [sys.executable, "-c", IMPORT, url, str(table)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"m"
        process.kill()
    registry = opened(url)
    assert registry.count() == 1500
    assert import_registry(registry.database, ImportFile.of(table)) == 1500
    assert registry.count() == sum(each.items for each in registry.next_codes(())) == 3000
    assert registry.search_titles("title 2999", 5)[1] == 1
    export_registry(registry.database, tmp_path / "again.parquet")
    assert pl.read_parquet(tmp_path / "again.parquet").equals(pl.read_parquet(table))


def test_an_upgrade_is_whole_or_not_at_all(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(url)
    with database.writing() as connection:
        migrate(connection, "0001")
        connection.exec_driver_sql("INSERT INTO semid_tokenizers VALUES (1, 'f', 2, 'drawn')")
        values = ", ".join(
            f"({row}, 1, 'i{row}', {_bytes(url, row)}, 0, 0.5, 'Čaj {row}', {_false(url)}, {row})"
            for row in range(1, 2001)
        )
        connection.exec_driver_sql(
            "INSERT INTO semid_ids (number, tokenizer, item_id, codes, suffix, distortion, title,"
            f" removed, change) VALUES {values}"
        )
    database.close()

    def write(midway: Callable[[], None]) -> None:
        _stop_folding(midway, monkeypatch)
        Database(url).upgrade()

    _killed(write)
    database = Database(url)
    assert database.state() == "older"
    assert database.upgrade()
    assert Registry(database, "f", levels=2).search_titles("caj", 1)[1] == MOST_COUNTED
    database.close()


def _bytes(url: str, row: int) -> str:
    digits = row.to_bytes(4).hex()
    return f"x'{digits}'" if url.startswith("sqlite") else f"'\\x{digits}'"


def _false(url: str) -> str:
    return "0" if url.startswith("sqlite") else "false"
