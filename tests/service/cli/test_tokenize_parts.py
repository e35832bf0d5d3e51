"""The commands on catalogues in parts: what they make and what they refuse."""

import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from data_prep.demo import demo_items
from tests.e2e.server import SEMID
from tests.service.cli.command import SMALL, Command, refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of three files with 300 items."""
    rows = demo_items(300)
    (tmp_path / "items").mkdir()
    for number in range(3):
        rows.slice(100 * number, 100).write_parquet(tmp_path / "items" / f"{number}.parquet")
    rows.write_parquet(tmp_path / "whole.parquet")
    return tmp_path / "items"


def test_a_folder_is_fitted_tokenized_embedded_and_imported(semid: Command, folder: Path) -> None:
    fitted = semid("fit", folder, "--out", "tok", "--sample", 200, "--measure-all", *SMALL)
    assert fitted.code == 0, fitted.errors
    assert "training on 200 of 300 items" in fitted.output
    assert "all 300 items: error" in fitted.output
    made = semid("tokenize", folder, "--tokenizer", "tok", "--out", "ids", "--part-rows", 90)
    assert "ids: 300 IDs, 300 of them new" in made.output, made.errors
    whole = semid("tokenize", "whole.parquet", "--tokenizer", "tok", "--out", "ids.parquet")
    assert whole.code == 0
    read = pl.concat([pl.read_parquet(path) for path in sorted(Path("ids").glob("part-*"))])
    assert read.equals(pl.read_parquet("ids.parquet"))
    near = ("similar", "tok", "--item", "D00003", "--json", "--ids")
    assert semid(*near, "ids").output == semid(*near, "ids.parquet").output
    vectors = semid("embed", f"{folder}/*.parquet", "--encoder", "hashing", "--out", "vectors")
    assert "300 vectors in 1 parts" in vectors.output, vectors.errors
    told = semid("import", "ids", "--catalogue", folder, "--database", "sqlite:///semid.db")
    assert "300 IDs added" in told.output, told.errors
    again = semid("import", "ids.parquet", "--database", "sqlite:///semid.db")
    assert "0 IDs added" in again.output, again.errors


def test_titles_in_another_order_are_set_by_item(semid: Command, folder: Path) -> None:
    assert semid("fit", folder, "--out", "tok", *SMALL).code == 0
    assert semid("tokenize", folder, "--tokenizer", "tok", "--out", "ids").code == 0
    pl.read_parquet("whole.parquet").reverse().write_parquet("reversed.parquet")
    for number, catalogue in enumerate(("whole.parquet", "reversed.parquet")):
        url = f"sqlite:///{number}.db"
        assert semid("import", "ids", "--catalogue", catalogue, "--database", url).code == 0
        assert semid("export", "--database", url, "--out", f"{number}.parquet").code == 0
    same, set_later = (pl.read_parquet(f"{number}.parquet") for number in range(2))
    assert same["title"].to_list() == pl.read_parquet("whole.parquet")["title"].to_list()
    assert set_later.equals(same)


def test_what_cannot_be_tokenized_in_parts_is_refused(
    semid: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "abfs", raising=False)
    assert semid("fit", folder, "--out", "tok", *SMALL).code == 0
    tokenize = ("tokenize", folder, "--tokenizer", "tok", "--out")
    refused(semid(*tokenize, "ids.parquet"), "is read in parts", "give --out a folder, as ids")
    (folder / "3.parquet").write_bytes((folder / "2.parquet").read_bytes())
    refused(semid(*tokenize, "ids"), "2.parquet, row 1", "3.parquet, row 1", "is there 2 times")
    (folder / "3.parquet").write_bytes(b"PAR1")
    refused(semid(*tokenize, "ids"), "3.parquet is no whole parquet file")
    (folder / "3.parquet").unlink()
    refused(semid("tokenize", "abfs://b/i", *tokenize[2:], "ids"), "pip install adlfs")
    refused(semid(*tokenize, "s3://b/ids"), "--out: is a URL", "then copy")
    assert not Path("s3:").exists()
    refused(semid("tokenize", "none/*.parquet", *tokenize[2:], "ids"), "no .parquet file")
    refused(semid(*tokenize, "ids", "--known", "tok"), "tok has no manifest.json")
    assert not Path("ids").exists() or not list(Path("ids").glob("part-*"))


def test_a_disk_that_is_full_is_told_and_the_run_goes_on(folder: Path, semid: Command) -> None:
    """A limit on the size of files stands for the disk."""
    assert semid("fit", folder, "--out", "tok", *SMALL).code == 0
    command = [*SEMID, "tokenize", str(folder), "--tokenizer", "tok", "--out", "ids", "--quiet"]

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    full = subprocess.run(
        [*command, "--cache", "cache"], capture_output=True, text=True, preexec_fn=little,
        check=False,
    )  # fmt: skip
    assert full.returncode in {1, 2}, full.stderr
    assert "Traceback" not in full.stderr
    assert subprocess.run(command, check=False).returncode == 0
    assert pl.read_parquet("ids/part-*.parquet").height == 300
