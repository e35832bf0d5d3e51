"""An item is the same item in every way in: a file's line, a request, an export and its import."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from data_prep.errors import InputError
from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.readers.catalogue import items_of, read_items
from data_prep.readers.table_files import read_table_file
from data_prep.text import TextTemplate
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import Registry, open_database
from service.registry.exchange import export_registry, import_registry
from service.registry.exchange.import_file import ImportFile
from tests.service.databases import sqlite_url
from tokenizer.artifact import load
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.offline.id_table import SEMANTIC_IDS
from tokenizer.pipeline import Pipeline

GOOD = st.sampled_from(["hand cream", "\u010daj zelen\u00fd", "a\u2028b", " x ", "a\nb", "7"])
ODD = st.sampled_from(["", " ", "\0", "a\x07", "\x85"]) | st.text(max_size=12)
NUMBERS = st.integers() | st.floats(-1e9, 1e9) | st.floats()


def _values(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return scalars, and lists and structs of them."""
    return st.recursive(
        scalars,
        lambda part: st.lists(part, max_size=3) | st.dictionaries(GOOD, part, max_size=3),
        max_leaves=5,
    )


LIKELY = st.fixed_dictionaries(
    {
        "item_id": st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12)
        | st.integers(),
        "title": GOOD | _values(GOOD | NUMBERS),
    },
    optional={
        "brand": _values(GOOD | NUMBERS | st.booleans() | st.none()),
        "categories": st.lists(GOOD | st.none(), max_size=3)
        | st.lists(st.lists(GOOD, max_size=2), max_size=2)
        | st.sampled_from(["Food > Tea", "['Food', 'Tea']"]),
        "price": st.floats(-1e9, 1e9) | st.sampled_from([7, " 2.50 ", "", None]),
        "colour": _values(GOOD | ODD | NUMBERS),
    },
)
ANY = _values(GOOD | ODD | NUMBERS | st.booleans() | st.none())
UNLIKELY = st.fixed_dictionaries(
    {
        "item_id": ANY
        | st.sampled_from(["é" * 256, "é" * 257, "a/b?c#d", "..", "a\nb", "a\0", True, None])
    },
    optional=dict.fromkeys(
        ("title", "brand", "description", "categories", "price", "text", "colour"), ANY
    ),
)


MAPPING = ColumnMapping(
    columns={"item_id": "sku", "title": "name", "brand": "maker", "categories": "path"},
    category_separator="/",
    path_separator="|",
    drop=("colour",),
    control_characters="blank",
)
THEIRS = {**MAPPING.columns, "item_id": "sku"}
PATHS = st.sampled_from(["Food / Tea", "Food / Tea | Gifts", r"Food \| Drink / Tea", "Tea", " / "])


@pytest.fixture
def registry(tmp_path: Path, pipeline: Pipeline) -> Iterator[Registry]:
    database = open_database(sqlite_url(tmp_path))
    yield Registry(database, pipeline.fingerprint, pipeline.levels)
    database.close()


class Doors:
    """Both ways in, and what has come in so far."""

    def __init__(self, folder: Path, pipeline: Pipeline, registry: Registry) -> None:
        self.file, self.pipeline = folder / "item.jsonl", pipeline
        self.client = TestClient(create_app(Catalogue(pipeline, registry)))
        self.ids = pl.DataFrame(schema=SEMANTIC_IDS)
        self.titles: dict[str, str | None] = {}

    def items(self) -> pl.DataFrame:
        """Return the file's items, by the tokenizer's mapping."""
        mapping = self.pipeline.config.mapping
        if mapping is None:
            return read_items(self.file)
        return items_of(read_table_file(self.file), mapping)

    def offline(self, line: str) -> tuple[str, str | None] | None:
        """Return an item's id and title, and give it its ID, or None where it is refused."""
        self.file.write_text(line + "\n")
        try:
            items = self.items()
            assume(items["item_id"][0] not in self.titles)
            self.ids = tokenize_catalogue(items, self.pipeline, self.ids)
        except InputError:
            return None
        return items["item_id"][0], items["title"][0]

    def online(self, line: str) -> dict[str, Any] | None:
        """Return the answer for an item, or None where it is refused."""
        answer = self.client.post(
            "/v1/tokenize", content=f'{{"items": [{line}]}}',
            headers={"content-type": "application/json"},
        )  # fmt: skip
        if answer.status_code in (400, 422):
            return None
        assert answer.status_code == 200, answer.text
        item: dict[str, Any] = answer.json()["items"][0]
        return item


def test_an_item_is_the_same_in_every_door(
    tmp_path: Path, pipeline: Pipeline, registry: Registry
) -> None:
    doors = Doors(tmp_path, pipeline, registry)
    wrong: list[str] = []

    @settings(
        max_examples=120, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(LIKELY | UNLIKELY)
    @example({"item_id": 2**53 + 1, "title": 1984})
    @example({"item_id": 8.0, "brand": {"name": "Avila", "url": "x"}})
    @example({"item_id": "a", "title": "soap", "categories": [["Beauty", "Hands"]]})
    @example({"item_id": "b", "text": "as it stands", "price": 2.5})
    @example({"item_id": "c", "text": "soap", "title": "soap"})
    @example({"item_id": "\ud800", "title": "soap"})
    @example({"item_id": "e", "title": [2.5, 42]})
    @example({"item_id": "d", "title": "soap", "colour": {"a": [1, 2.5, {"b": None}]}})
    def same(item: dict[str, Any]) -> None:
        line = json.dumps(item)
        offline, online = doors.offline(line), doors.online(line)
        if offline is None or online is None:
            if offline or online:
                wrong.append(f"{line}: a file gives {offline}, a request {online}")
            return
        item_id, title = offline
        doors.titles[item_id] = title
        expected = doors.ids.filter(pl.col("item_id") == item_id)["semantic_id"].item()
        path = quote(item_id, safe="")
        found = doors.client.get(f"/v1/items/{path if path.strip('.') else '%2E' * len(path)}")
        if (online["item_id"], online["title"]) != offline:
            wrong.append(f"{line}: a file gives {offline}, a request {online}")
        if online["semantic_id"] != expected or found.json()["semantic_id"] != expected:
            wrong.append(f"{line}: a file gives {expected}, a request {online}, {found.json()}")

    same()
    assert not wrong, wrong[:3]
    assert len(doors.titles) > 20
    assert export_registry(registry.database, tmp_path / "r.parquet") == len(doors.titles)
    (tmp_path / "other").mkdir()
    other = open_database(sqlite_url(tmp_path / "other"))
    assert import_registry(other, ImportFile.of(tmp_path / "r.parquet")) == len(doors.titles)
    there = Registry(other, pipeline.fingerprint, pipeline.levels).get(doors.titles)
    assert {item.item_id: item.title for item in there.values()} == doors.titles
    other.close()


def test_a_mapped_row_is_the_same_in_every_door(
    tmp_path: Path, tokenizer_folder: Path, registry: Registry
) -> None:
    """A row with the names of the catalogue that the tokenizer was fitted to, or with our names."""
    fitted = load(tokenizer_folder)
    config = fitted.config.model_copy(
        update={"mapping": MAPPING, "text": TextTemplate(markup="strip")}
    )
    doors = Doors(tmp_path, Pipeline(replace(fitted, config=config)), registry)
    wrong: list[str] = []
    seen: set[str] = set()

    @settings(
        max_examples=80, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(LIKELY | UNLIKELY, PATHS | st.none(), st.booleans())
    @example({"item_id": "a", "title": "soap", "name": 7}, "Food / Tea", True)
    @example({"item_id": "b", "title": "<b>soap</b> &amp; salt"}, "Food / Tea", True)
    @example({"item_id": "c", "title": "so\x80ap", "brand": "\0"}, "Food\0 / Tea", True)
    @example({"item_id": "d", "title": "so\x07ap"}, None, False)
    def same(item: dict[str, Any], path: str | None, theirs: bool) -> None:
        if path is not None:
            item = item | {"categories": path}
        if theirs:
            item = {THEIRS.get(name, name): value for name, value in item.items()}
        line = json.dumps(item)
        offline, online = doors.offline(line), doors.online(line)
        if offline is None or online is None:
            if offline or online:
                wrong.append(f"{line}: a file gives {offline}, a request {online}")
            return
        item_id, title = offline
        doors.titles[item_id] = title
        seen.add("theirs" if theirs else "ours")
        expected = doors.ids.filter(pl.col("item_id") == item_id)["semantic_id"].item()
        if (online["item_id"], online["title"], online["semantic_id"]) != (*offline, expected):
            wrong.append(f"{line}: a file gives {offline} {expected}, a request {online}")

    same()
    assert not wrong, wrong[:3]
    assert seen == {"ours", "theirs"}
