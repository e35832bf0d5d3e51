"""Files as shops and sites export them, made for these tests: each gives the right items."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.mapping.column_names import Guess, guess_mapping
from data_prep.readers.catalogue import items_of
from data_prep.readers.table_files import TableFile, read_table_file
from data_prep.text import TextTemplate

CATALOGUES = Path(__file__).parents[2] / "catalogues"
EXPECTED: dict[str, dict[str, Any]] = json.loads(
    (CATALOGUES / "expected.json").read_text(encoding="utf-8")
)


def _read(name: str) -> tuple[TableFile, Guess]:
    file = read_table_file(CATALOGUES / name)
    return file, guess_mapping(file.frame.columns)


def test_every_file_has_its_right_values() -> None:
    files = {path.name for path in CATALOGUES.iterdir()} - {"expected.json"}
    assert files == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_gives_the_right_items(name: str) -> None:
    expected = EXPECTED[name]
    file, guess = _read(name)
    assert (file.described, guess.preset) == (expected["format"], expected["preset"])
    items = items_of(file, guess.mapping, ("title", *guess.text_fields))
    assert items.height == expected["items"]
    rows = {row["item_id"]: row for row in items.iter_rows(named=True)}
    first = next(iter(rows.values()))
    assert expected["first"].items() <= first.items()
    template = TextTemplate.of(
        [field for field in guess.text_fields if field in items.columns], items.columns
    )
    assert template.render(first) == expected["text"]
    assert {key: rows[key]["title"] for key in expected.get("titles", {})} == (
        expected.get("titles", {})
    )
    assert {key: rows[key]["categories"] for key in expected.get("paths", {})} == (
        expected.get("paths", {})
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_a_row_of_a_request_is_the_item_of_the_file(name: str) -> None:
    """The text of a raw row, as a client may send it, is that of the item in the catalogue."""
    file, guess = _read(name)
    items = items_of(file, guess.mapping, ("title", *guess.text_fields))
    template = TextTemplate(fields=guess.text_fields, markup="strip")
    raw = guess.mapping.row(file.frame.row(0, named=True))
    assert str(raw["item_id"]) == items["item_id"][0]
    assert template.render(raw) == template.render(items.row(0, named=True))
