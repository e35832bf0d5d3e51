"""The commands on files as people have them: what is guessed, told, kept and refused."""

import json
import tomllib
from pathlib import Path

import polars as pl
import pytest

from tests.service.cli.command import SMALL, Command, refused


def _shop(path: Path, rows: int = 40, **more: object) -> Path:
    """Write a shop's file with names of its own, and return its path."""
    table = pl.DataFrame(
        {
            "sku": [f"A{row}" for row in range(rows)],
            "name": [f"{('red', 'blue')[row % 2]} cup number {row}" for row in range(rows)],
            "list price": [f"{row}.50 EUR" for row in range(rows)],
        }
        | more
    )
    table.write_csv(path, separator=";")
    return path


def test_the_mapping_of_a_fit_serves_the_later_commands(semid: Command) -> None:
    _shop(Path("shop.csv"))
    assert semid("fit", "shop.csv", "--out", "tok", "--name", "cups", *SMALL).code == 0
    told = json.loads(semid("inspect", "tok", "--json").output)
    assert told["name"] == "cups"
    assert told["config"]["mapping"]["columns"] == {
        "item_id": "sku", "title": "name", "price": "list price",
    }  # fmt: skip
    tokenize = ("tokenize", "--tokenizer", "tok", "--out")
    assert semid(*tokenize, "ids.parquet", "shop.csv").code == 0
    items = pl.read_csv("shop.csv", separator=";", infer_schema=False)
    items.select(item_id="sku", title="name").write_csv("ours.csv")
    assert semid(*tokenize, "same.parquet", "ours.csv").code == 0
    assert pl.read_parquet("same.parquet").equals(pl.read_parquet("ids.parquet"))
    named = semid("similar", "tok", "--ids", "ids.parquet", "--item", "A3", "--items", "shop.csv")
    assert "cup number" in named.output
    assert semid("report", "tok", "--items", "shop.csv", "--out", "r.html").code == 0
    refused(semid(*tokenize, "x.parquet", "ours.csv", "--column", "title=label"), "'label'")


def test_check_tells_and_writes_what_fit_reads(semid: Command) -> None:
    _shop(Path("shop.csv"))
    told = json.loads(semid("check", "shop.csv", "--json", "--no-write").output)
    assert told["format"] == "CSV, utf-8, separator semicolon"
    assert told["mapping"]["columns"]["item_id"] == "sku"
    assert told["proposal"]["shape"]["codebook_size"] == 8
    assert told["texts"]["unknown"] == 0
    assert not Path("semid.toml").exists()

    shown = semid("check", "shop.csv")
    assert "red cup number 0." in shown.output
    written = tomllib.loads(Path("semid.toml").read_text())["fit"]
    assert written["column"] == {"item_id": "sku", "title": "name", "price": "list price"}
    assert (written["levels"], written["codebook_size"]) == (8, 8)
    assert (written["network"], written["search_beam"]) == ("identity", 5)
    assert "# the greedy search, 1, loses more" in Path("semid.toml").read_text()
    fitted = semid("fit", "--encoder", "ngrams", "--steps", 5, "--warmup-steps", 2)
    assert fitted.code == 0, fitted.errors
    assert (
        semid("tokenize", "shop.csv", "--tokenizer", "tokenizers/shop", "--out", "i.csv").code == 0
    )
    before = Path("semid.toml").read_text()
    assert "semid.toml is as it was" in semid("check", "shop.csv").output
    assert Path("semid.toml").read_text() == before


def test_an_empty_title_names_the_better_column(semid: Command) -> None:
    films = [f"The film of {word}" for word in ["love", "hate", "war", "peace", "rain", "snow"]]
    pl.DataFrame({"id": range(6), "title": [None] * 6, "Movie": films}).write_csv("f.csv")
    told = semid("check", "f.csv")
    assert "title (title) is empty in 100% of the rows: did you mean --column title=Movie?" in (
        told.output
    )
    assert "6 items have no text" in told.output
    assert tomllib.loads(Path("semid.toml").read_text())["fit"]["skip_empty"] is True
    assert "did you mean" not in semid("check", "f.csv", "--column", "title=Movie").output


def test_a_language_that_the_encoder_does_not_know_is_told(semid: Command) -> None:
    names = [
        "有機抹茶パウダー",
        "国産はちみつ瓶",
        "北海道バター飴",
        "黒糖かりんとう",
        "京都宇治玉露茶",
    ]
    pl.DataFrame(
        {"item_id": range(30), "title": [f"{names[n % 5]} {n}" for n in range(30)]}
    ).write_csv("jp.csv")
    told = json.loads(semid("check", "jp.csv", "--json", "--no-write").output)
    assert told["texts"]["unknown"] > 0.1
    assert told["proposal"]["encoder"] == "ngrams"
    assert any("--encoder ngrams" in verdict for verdict in told["verdicts"])
    fitted = semid("fit", "jp.csv", "--out", "tok", *SMALL, "--encoder", "ngrams")
    assert fitted.code == 0, fitted.errors
    assert "language" not in fitted.errors
    tokenize = ("tokenize", "jp.csv", "--tokenizer", "tok", "--out")
    assert semid(*tokenize, "a.parquet").code == 0
    Path("tok").rename("moved")
    assert semid("tokenize", "jp.csv", "--tokenizer", "moved", "--out", "b.parquet").code == 0
    assert pl.read_parquet("a.parquet").equals(pl.read_parquet("b.parquet"))
    (Path("moved") / "encoder.safetensors").unlink()
    refused(semid("tokenize", "jp.csv", "--tokenizer", "moved", "--out", "c.parquet"), "ngrams")


def test_known_ids_tell_what_is_new_changed_and_vanished(semid: Command) -> None:
    _shop(Path("shop.csv"))
    semid("fit", "shop.csv", "--out", "tok", *SMALL)
    tokenize = ("tokenize", "--tokenizer", "tok", "--out")
    assert semid(*tokenize, "ids.csv", "shop.csv").code == 0
    table = pl.read_csv("shop.csv", separator=";", infer_schema=False)
    changed = pl.when(pl.col("sku") == "A5").then(pl.lit("wooden spoon")).otherwise(pl.col("name"))
    more = pl.DataFrame({"sku": ["Z1"], "name": ["green cup"], "list price": [None]})
    pl.concat([table.with_columns(name=changed).filter(pl.col("sku") != "A7"), more]).write_csv(
        "later.csv"
    )
    told = semid(*tokenize, "all.csv", "later.csv", "--known", "ids.csv", "--changes", "ch.csv")
    assert told.code == 0, told.errors
    assert "against ids.csv: 1 new, 1 changed, 1 vanished" in told.output
    changes = pl.read_csv("ch.csv")
    assert dict(zip(changes["change"], changes["item_id"], strict=True)) == {
        "new": "Z1", "changed": "A5", "vanished": "A7",
    }  # fmt: skip
    first, second = (pl.read_csv(name, infer_schema=False) for name in ("ids.csv", "all.csv"))
    assert second.head(first.height).equals(first)
    plain = semid(*tokenize, "b.parquet", "later.csv", "--known", "ids.csv")
    assert "against ids.csv: 1 new, 1 vanished" in plain.output
    refused(semid(*tokenize, "x.parquet", "later.csv", "--changes", "c.csv"), "--known")
    refused(semid(*tokenize, "x.xlsx", "later.csv"), ".parquet or .csv")


def test_a_log_is_mapped_and_may_have_no_times(semid: Command) -> None:
    _shop(Path("shop.csv"), 8)
    rows = [(f"U{user}", f"A{(user + step) % 8}") for user in range(6) for step in range(5)]
    log = pl.DataFrame(rows, schema=["CustomerID", "StockCode"], orient="row")
    log.write_csv("log.csv")
    prepare = ("prepare", "training", "--items", "shop.csv", "--out", "t.safetensors")
    made = semid(*prepare, "log.csv")
    assert made.code == 0, made.errors
    assert "user_id=CustomerID, item_id=StockCode" in made.errors
    assert "has no times" in made.errors
    assert "6 users, 8 items, 30 events" in made.output
    log.rename({"CustomerID": "who"}).write_csv("other.csv")
    refused(semid(*prepare, "other.csv"), "'user_id'")
    assert semid(*prepare, "other.csv", "--column", "user_id=who").code == 0
    refused(semid(*prepare, "other.csv", "--column", "user_id=nobody"), "'nobody'")


def test_a_column_that_nothing_needs_stops_no_fit(semid: Command) -> None:
    _shop(Path("shop.csv"), 40, price=["call us"] * 3 + ["1.5"] * 37)
    fitted = semid("fit", "shop.csv", "--out", "tok", *SMALL)
    assert fitted.code == 0, fitted.errors
    needs = ("fit", "shop.csv", "--out", "other", "--text-fields", "title,price", *SMALL)
    refused(semid(*needs), "line 2", "'price'", "call us")


def test_control_characters_in_a_title_stop_nothing_after_a_check(semid: Command) -> None:
    rows = [f"A{row}\tcup {row}" for row in range(40)]
    rows[7] += "\x80"
    Path("shop.tsv").write_text("sku\tname\n" + "\n".join(rows) + "\n", encoding="utf-8")
    refused(
        semid("fit", "shop.tsv", "--out", "tok", *SMALL),
        "line 9", "U+0080", "--control-characters blank",
    )  # fmt: skip
    told = semid("check", "shop.tsv", "--encoder", "hashing")
    assert "control characters stand in the texts of 1 rows" in told.output
    assert semid("fit", "--out", "tok", *SMALL).code == 0
    done = semid("tokenize", "shop.tsv", "--tokenizer", "tok", "--out", "ids.csv")
    assert "40 IDs" in done.output, done.errors


def test_a_sample_of_a_large_parquet_file_may_collapse_its_rows(semid: Command) -> None:
    table = pl.read_csv(_shop(Path("shop.csv")), separator=";", infer_schema=False)
    pl.concat([table] * 3).write_parquet("sales.parquet")
    fitted = semid(
        "fit", "sales.parquet", "--out", "tok", "--dedupe", "longest", "--sample", 30,
        "--codebook-size", 4, *SMALL,
    )  # fmt: skip
    assert "training on 30 of 40 items" in fitted.output, fitted.errors


CATALOGUES = Path(__file__).parents[2] / "catalogues"


@pytest.mark.parametrize(
    "name", sorted({path.name for path in CATALOGUES.iterdir()} - {"expected.json"})
)
def test_check_and_fit_take_every_catalogue_as_it_is(semid: Command, name: str) -> None:
    checked = semid("check", CATALOGUES / name, "--encoder", "hashing")
    assert checked.code == 0, checked.errors
    assert "6 items" in checked.output
    fitted = semid("fit", "--out", "tok", *SMALL, "--codebook-size", 4, "--steps", 2)
    assert fitted.code == 0, fitted.errors
    done = semid("tokenize", CATALOGUES / name, "--tokenizer", "tok", "--out", "ids.csv")
    assert "6 IDs" in done.output, done.errors


def test_a_sample_is_drawn_of_items_and_not_of_rows(semid: Command) -> None:
    """Rows of one item stand far apart, as in a log of sales."""
    table = pl.read_csv(_shop(Path("shop.csv")), separator=";", infer_schema=False)
    pl.concat([table] * 5).write_csv("sales.csv")
    fit = ("fit", "sales.csv", "--dedupe", "first", *SMALL, "--codebook-size", 4)
    assert "training on" not in semid(*fit, "--out", "all", "--sample", 40).output
    sampled = semid(*fit, "--out", "some", "--sample", 30)
    assert "training on 30 of 40 items" in sampled.output, sampled.errors
