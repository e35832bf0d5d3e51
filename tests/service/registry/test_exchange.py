"""The registry as files: the whole of it, and the map from one tokenizer's IDs to another's."""

from pathlib import Path

import polars as pl
import pytest

from data_prep.errors import InputError
from service.registry import Database, NewItem, Registry, open_database
from service.registry.exchange import export_registry, import_registry
from service.registry.exchange.import_file import ImportFile
from service.registry.tokenizers import default_tokenizer, promote
from tests.service.cli.command import Command, refused
from tests.service.databases import Open, Postgres, sqlite_url


@pytest.fixture
def filled(url: str, opened: Open) -> Registry:
    """Return a registry of two tokenizers, the second the default, with a removed item."""
    one, two = opened(url, "f" * 8), opened(url, "g" * 8)
    one.add([NewItem(name, (1, 2), 0.1 + row, f"Title {name}") for row, name in enumerate("abc")])
    two.add([NewItem(name, (3, 4), 0.5) for name in "cb"])
    one.remove("a")
    promote(two.database, "gggg")
    return one


def _new(tmp_path: Path, postgres: Postgres, url: str) -> Database:
    """Return an empty database of the other kind."""
    folder = tmp_path / "other"
    folder.mkdir(exist_ok=True)
    return open_database(postgres.new() if url.startswith("sqlite") else sqlite_url(folder))


def test_an_imported_registry_is_the_exported_one(
    tmp_path: Path, postgres: Postgres, url: str, filled: Registry
) -> None:
    """From each kind of database to the other; a second import finds nothing to add."""
    assert export_registry(filled.database, tmp_path / "r.parquet") == 5
    other = _new(tmp_path, postgres, url)
    assert import_registry(other, ImportFile.of(tmp_path / "r.parquet")) == 5
    assert import_registry(other, ImportFile.of(tmp_path / "r.parquet")) == 0
    assert import_registry(filled.database, ImportFile.of(tmp_path / "r.parquet")) == 0
    export_registry(other, tmp_path / "again.parquet")
    again, before = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("again", "r"))
    assert again.equals(before)
    default = default_tokenizer(other)
    assert default is not None
    assert default.fingerprint == "g" * 8
    there = Registry(other, "f" * 8, 2)
    assert there.get("abc").keys() == {"b", "c"}
    assert there.get("b")["b"].title == "Title b"
    assert there.add([NewItem("d", (1, 2), 0.5)])[0][0].semantic_id == "1-2-3"
    assert sum(len(part.numbers) for part in there.changes(0)) == 4
    other.close()


@pytest.mark.parametrize(("name", "value"), [("suffix", 7), ("title", "Other"), ("removed", True)])
def test_a_file_that_disagrees_is_refused_and_changes_nothing(
    tmp_path: Path, filled: Registry, name: str, value: object
) -> None:
    """Also the rows before the one that disagrees."""
    export_registry(filled.database, tmp_path / "r.parquet")
    table = pl.read_parquet(tmp_path / "r.parquet")
    metadata = pl.read_parquet_metadata(tmp_path / "r.parquet")
    differs = pl.when(pl.col("item_id") == "c").then(pl.lit(value)).otherwise(pl.col(name))
    wrong = table.with_columns(differs.cast(table.schema[name]).alias(name))
    if name == "suffix":
        wrong = wrong.with_columns(
            semantic_id=pl.when(pl.col("item_id") == "c")
            .then(pl.col("semantic_id").str.slice(0, 3) + "-7")
            .otherwise("semantic_id")
        )
    first = wrong.head(1).with_columns(
        item_id=pl.lit("new"), suffix=pl.lit(9, pl.UInt32), semantic_id=pl.lit("3-4-9")
    )
    pl.concat([first, wrong]).write_parquet(
        tmp_path / "w.parquet", metadata={"semid_registry": metadata["semid_registry"]}
    )
    with pytest.raises(InputError, match=f"'c' .* has another {name} in the database"):
        import_registry(filled.database, ImportFile.of(tmp_path / "w.parquet"))
    assert filled.count() == 2
    assert Registry(filled.database, "g" * 8, 2).get(["new"]) == {}


def test_an_id_of_another_item_is_refused(tmp_path: Path, filled: Registry, opened: Open) -> None:
    export_registry(filled.database, tmp_path / "r.parquet")
    (tmp_path / "o").mkdir()
    other = opened(sqlite_url(tmp_path / "o"), "f" * 8)
    other.add([NewItem("somebody", (1, 2), 0.5)])
    with pytest.raises(InputError, match="belongs to another item"):
        import_registry(other.database, ImportFile.of(tmp_path / "r.parquet"))
    assert other.count() == 1


def test_the_command_moves_a_registry_and_maps_its_ids(
    semid: Command, url: str, filled: Registry, tmp_path: Path
) -> None:
    assert "5 IDs" in semid("export", "--database", url, "--out", "r.parquet").output
    (tmp_path / "copy").mkdir()
    target = sqlite_url(tmp_path / "copy")
    assert "5 IDs added" in semid("import", "r.parquet", "--database", target).output
    told = semid("db", "status", "--database", target).output
    assert "current" in told
    assert f"tokenizer {'g' * 8}: 2 items, the default" in told
    mapping = ("map-ids", "--from", "ff", "--to", "gg", "--out", "map.parquet", "--database", url)
    assert "2 items, 0 without" in semid(*mapping).output
    assert pl.read_parquet("map.parquet").rows() == [("b", "1-2-1", "3-4-1"), ("c", "1-2-2", "3-4")]
    filled.add([NewItem("d", (1, 2), 0.5)])
    assert "3 items, 1 without" in semid(*mapping).output
    refused(semid(*mapping[:1], "--from", "x", *mapping[3:]), "no tokenizer 'x'", "ffffffff")
    refused(semid("promote", "x", "--database", url), "no tokenizer 'x'")
    assert semid("promote", "f", "--database", url).code == 0
    refused(semid("promote", "g", "--database", url), "1 items of the default", "--incomplete")
    assert (
        f"the default is {'g' * 8}"
        in semid("promote", "g", "--incomplete", "--database", url).output
    )
    filled.remove("d")
    assert semid("promote", "f", "--database", url).code == 0


def test_commands_that_only_use_a_registry_make_none(semid: Command) -> None:
    for command in (("export", "--out", "r.parquet"), ("promote", "f")):
        refused(semid(*command, "--database", "sqlite:///typo.db"), "holds no registry")
    refused(semid("db", "status", "--database", "sqlite:///typo.db"), "does not exist")
    assert not list(Path().glob("*typo*"))
    assert "upgraded" in semid("db", "upgrade", "--database", "sqlite:///typo.db").output
    assert "current" in semid("db", "status", "--database", "sqlite:///typo.db").output
    assert "has version" in semid("db", "upgrade", "--database", "sqlite:///typo.db").output


def test_files_that_are_no_registry_are_refused(semid: Command, filled: Registry) -> None:
    pl.DataFrame({"item_id": ["a"]}).write_parquet("t.parquet")
    refused(semid("import", "t.parquet"), "not a registry that semid export wrote")
    refused(semid("import", "none.parquet"), "does not exist")
    export_registry(filled.database, Path("r.parquet"))
    table = pl.read_parquet("r.parquet")
    metadata = {"semid_registry": pl.read_parquet_metadata("r.parquet")["semid_registry"]}
    for wrong, said in (
        (table.with_columns(tokenizer=pl.lit("h")), "not IDs of the file's tokenizers"),
        (table.with_columns(semantic_id=pl.lit("1-1")), "not IDs of the file's tokenizers"),
        (table.with_columns(codes=pl.lit([1], pl.List(pl.UInt16))), "not IDs"),
        (table.with_columns(item_id=pl.lit("a")), "item_id is there twice"),
        (table.with_columns(removed=None), "no 'removed' in row"),
    ):
        wrong.write_parquet("w.parquet", metadata=metadata)
        refused(semid("import", "w.parquet"), said)
    Path("bytes.parquet").write_bytes(Path("r.parquet").read_bytes()[:200])
    refused(semid("import", "bytes.parquet"), "bytes.parquet")
