"""The prefixes that `semid inspect` names."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.service.cli.command import Command, refused


@pytest.fixture
def ids(semid: Command, catalogue: Path, tokenizer_folder: Path) -> Path:
    done = semid("tokenize", catalogue, "--tokenizer", tokenizer_folder, "--out", "ids.parquet")
    assert done.code == 0, done.errors
    return Path("ids.parquet")


def test_inspect_names_the_prefixes_of_a_table_of_ids(
    semid: Command, catalogue: Path, tokenizer_folder: Path, ids: Path
) -> None:
    """Coherence stands there because `tokenize` left the texts' vectors in the cache."""
    inspect = ("inspect", tokenizer_folder, "--ids", ids, "--items", catalogue)
    found = json.loads(semid(*inspect, "--json").output)["prefixes"]
    table = pl.read_parquet(ids)
    assert sum(each["items"] for each in found["prefixes"]) == table.height == 300
    assert [each["length"] for each in found["depths"]] == [1, 2, 3]
    first = found["prefixes"][0]
    assert first["items"] == max(each["items"] for each in found["prefixes"])
    central = table.filter(pl.col("item_id") == first["central"]["item_id"])["semantic_id"][0]
    assert central.split("-")[0] == first["prefix"]
    assert first["coherence"] > found["chance"]
    shown = semid(*inspect, "--prefix", first["prefix"]).output
    assert f"below {first['prefix']}; coherence by chance" in shown
    assert "sizes of prefixes by depth" in shown
    bare = semid("inspect", tokenizer_folder, "--ids", ids)
    assert bare.code == 0
    assert "no coherence: give --items" in bare.errors


def test_what_naming_refuses(semid: Command, tokenizer_folder: Path, ids: Path) -> None:
    inspect = ("inspect", tokenizer_folder)
    refused(semid(*inspect, "--prefix", "1"), "give --ids")
    refused(semid(*inspect, "--ids", ids, "--prefix", "1-2-3"), "no item has a longer prefix")
    refused(semid(*inspect, "--ids", ids, "--prefix", "99"), "99")
