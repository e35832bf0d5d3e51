"""`semid prepare` of public data sets, end to end."""

import json
from pathlib import Path

import polars as pl

from tests.generated.esci import write_esci
from tests.generated.jdsearch import write_jdsearch
from tests.service.cli.command import Command, refused


def test_esci(semid: Command, tmp_path: Path) -> None:
    examples, products = write_esci(tmp_path / "raw", products=200, queries=40)
    given = ("prepare", "esci", "--examples", examples, "--products", products, "--out", "out")
    done = semid(*given)
    assert done.code == 0, done.errors
    assert "out: 200 items, queries: " in done.output
    assert "of 130,652 published queries" in done.output
    record = json.loads((tmp_path / "out" / "prepare.json").read_text())
    assert record["items"] == pl.read_parquet(tmp_path / "out" / "items.parquet").height
    assert record["record"]["data_fingerprint"].count("+") == 1
    refused(semid(*given, "--locale", "fr"), "unknown locale 'fr'", "es, jp, us")
    assert (tmp_path / "out" / "prepare.json").is_file()
    examples.write_text("version https://git-lfs.github.com/spec/v1\n")
    refused(semid(*given), "is a Git-LFS pointer")
    assert pl.read_parquet(tmp_path / "out" / "queries.parquet").height


def test_jdsearch(semid: Command, tmp_path: Path) -> None:
    behaviour, products = write_jdsearch(tmp_path / "raw", items=400, users=30)
    done = semid(
        "prepare", "jdsearch", "--behaviour", behaviour, "--products", products, "--out", "out"
    )
    assert done.code == 0, done.errors
    assert "out: 30 users, 392 items" in done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "items.parquet",
        "interactions.parquet",
        "sequences.parquet",
        "queries.parquet",
        "prepare.json",
    }


def test_movielens(semid: Command, tmp_path: Path) -> None:
    raw = tmp_path / "ml"
    raw.mkdir()
    ratings = [f"{user},{movie},4,{user + movie}" for user in range(6) for movie in range(6)]
    (raw / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(ratings))
    movies = [f"{movie},Film {movie} (1999),Drama" for movie in range(7)]
    (raw / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(movies))
    done = semid("prepare", "movielens", raw, "--out", "out")
    assert done.code == 0, done.errors
    assert "out: 6 users, 7 movies, 36 ratings" in done.output
    sequences = pl.read_parquet(tmp_path / "out" / "sequences.parquet")
    assert sequences["test"].to_list() == ["5"] * 6
    refused(semid("prepare", "movielens", raw / "none", "--out", "out"), "is not a folder")
