"""`semid similar`, `semid recommend`, and the lists of what there is."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_prep.demo import demo_interactions
from recsys.presets import MODELS
from recsys.recommender import Recommender
from service.engine.catalogue import Catalogue
from service.engine.neighbours.nearest import Question
from service.registry import Registry, open_database
from tests.service.cli.command import Command, refused
from tokenizer.pipeline import Pipeline
from tokenizer.quantizers import QUANTIZERS


@pytest.fixture
def ids(semid: Command, catalogue: Path, tokenizer_folder: Path) -> Path:
    done = semid("tokenize", catalogue, "--tokenizer", tokenizer_folder, "--out", "ids.parquet",
                 "--json")  # fmt: skip
    assert done.code == 0, done.errors
    told = json.loads(done.output)
    assert (told["ids"], told["new"]) == (300, 300)
    return Path("ids.parquet")


def test_similar_items_are_those_of_the_service(
    semid: Command, catalogue: Path, tokenizer_folder: Path, ids: Path, tmp_path: Path
) -> None:
    from service.cli.serving.serve import _take_over

    pipeline = Pipeline.load(tokenizer_folder)
    with open_database(f"sqlite:///{tmp_path / 's.db'}") as database:
        registry = Registry(database, pipeline.fingerprint, pipeline.levels)
        _take_over(pl.read_parquet(ids), registry)
        service = Catalogue(pipeline, registry)
        similar = ("similar", tokenizer_folder, "--ids", ids, "--k", 5, "--json")
        vector = pipeline.embed(["red kettle"])[0]
        Path("v.json").write_text(json.dumps(vector.tolist()))
        for exact in (False, True):
            if exact:
                table = pl.read_parquet(catalogue)
                vectors = pipeline.embed(pipeline.texts(table.iter_rows(named=True)))
                service.nearest.vectors.keep([(table["item_id"].to_list(), vectors)], print)
            for asked, of in (
                (("--item", "D00004"), "D00004"),
                (("--text", "red kettle"), vector),
                (("--vector", "v.json"), vector),
            ):
                done = semid(*similar, *asked, *(("--items", catalogue) if exact else ()))
                assert done.code == 0, done.errors
                assert ("answered from codes alone" in done.errors) is not exact
                found = json.loads(done.output)
                [expected] = service.similar([Question(of, 5, exact)])
                assert expected is not None
                assert [row["exact"] for row in found] == [exact] * 5
                for figure in ("distance", "cosine"):
                    assert [row[figure] for row in found] == pytest.approx(
                        [getattr(near, figure) for near in expected], abs=2e-3
                    )
                assert asked[0] != "--item" or all(row["item_id"] != of for row in found)
    shown = semid(*similar[:-1], "--item", "D00004", "--items", catalogue).output
    assert len(shown.splitlines()) == 6
    titles = pl.read_parquet(catalogue)
    first = shown.splitlines()[1].split()[0]
    assert titles.filter(titles["item_id"] == first)["title"][0] in shown


def test_what_similar_refuses(semid: Command, tokenizer_folder: Path, ids: Path) -> None:
    similar = ("similar", tokenizer_folder, "--ids", ids)
    refused(semid(*similar), "one of --item, --text and --vector")
    refused(semid(*similar, "--item", "a", "--text", "b"), "one of --item")
    refused(semid(*similar, "--item", "none"), "has no item 'none'")
    refused(semid(*similar, "--vector", "none.json"), "none.json does not exist")
    for content, said in (("[1, 2]", "length 2"), ("{", "not a JSON list"), ("3", "not a list")):
        Path("v.json").write_text(content)
        refused(semid(*similar, "--vector", "v.json"), said)
    refused(semid(*similar, "--text", "a", "--k", 0), "--k")


@pytest.fixture
def recommender(semid: Command, catalogue: Path, ids: Path) -> Path:
    events = demo_interactions(pl.read_parquet(catalogue), shoppers=80)
    events.write_parquet("events.parquet")
    made = semid("prepare", "training", "events.parquet", "--items", catalogue, "--ids", ids,
                 "--out", "t.safetensors")  # fmt: skip
    assert made.code == 0, made.errors
    trained = semid("train", "t.safetensors", "--preset", "smoke", "--set", "epochs=1",
                    "--out", "r", "--quiet")  # fmt: skip
    assert trained.code == 0, trained.errors
    assert (trained.output, trained.errors) == ("", "")
    told = json.loads(semid("evaluate", "r", "t.safetensors", "--json").output)
    assert 0 <= told["test"]["all"]["recall@10"] <= 1
    return Path("r")


def test_recommendations_without_a_service(
    semid: Command, catalogue: Path, recommender: Path
) -> None:
    loaded = Recommender.load(recommender)
    expected = loaded.recommend([["D00004", "D00005"], ["D00010"]], 3)
    given = ("--history", "D00004, D00005", "--history", "D00010", "--k", 3)
    told = json.loads(semid("recommend", recommender, *given, "--json").output)
    assert [row["user_id"] for row in told] == ["1"] * 3 + ["2"] * 3
    assert [row["item_id"] for row in told] == [each.item_id for row in expected for each in row]
    named = semid("recommend", recommender, *given, "--items", catalogue).output
    assert len(named.splitlines()) == 7
    assert "title" in named.splitlines()[0]

    events = pl.read_parquet("events.parquet")
    events.sort("timestamp", descending=True).write_parquet("shuffled.parquet")
    done = semid("recommend", recommender, "--histories", "shuffled.parquet", "--k", 2,
                 "--out", "answers.parquet")  # fmt: skip
    assert done.code == 0, done.errors
    answers = pl.read_parquet("answers.parquet")
    assert answers["user_id"].n_unique() == events["user_id"].n_unique()
    user = events["user_id"][0]
    history = events.filter(events["user_id"] == user).sort("timestamp", maintain_order=True)
    wanted = loaded.recommend([history["item_id"].to_list()], 2)[0]
    got = answers.filter(answers["user_id"] == user)
    assert got["score"].to_list() == pytest.approx([each.score for each in wanted], abs=1e-5)

    titles = pl.read_parquet(catalogue).select("item_id", "title").rows()
    word = str(titles[3][1]).split()[-1]
    worded = semid("recommend", recommender, "--history", "D00010", "--k", 200, "--words", word,
                   "--no-exclude-seen", "--items", catalogue, "--json")  # fmt: skip
    assert {row["item_id"] for row in json.loads(worded.output)} == {
        item_id
        for item_id, title in titles
        if any(each.startswith(word.lower()) for each in re.findall(r"[a-z0-9]+", title.lower()))
    }

    recommend = ("recommend", recommender)
    refused(semid(*recommend, *given, "--words", word), "--words needs --items")
    refused(semid(*recommend, *given, "--words", "qq", "--items", catalogue), "no item's title")
    refused(semid(*recommend), "--history", "--histories")
    refused(semid(*recommend, *given, "--histories", "events.parquet"), "--histories")
    refused(semid(*recommend, "--history", "nothing"), "no known item")
    refused(semid(*recommend, "--histories", "none.csv"), "none.csv does not exist")
    Path("h.csv").write_text("user,item_id\n1,2\n")
    refused(semid(*recommend, "--histories", "h.csv"), "no column 'user_id'")


@pytest.mark.parametrize(("command", "known"), [("models", MODELS), ("quantizers", QUANTIZERS)])
def test_lists_name_everything_with_its_source(
    command: str, known: tuple[str, ...], semid: Command
) -> None:
    told = json.loads(semid(command, "--json").output)
    assert [row["name"] for row in told] == list(known)
    assert all(row["source"] and row["what"] for row in told)
    lines = semid(command).output.splitlines()
    assert len(lines) == len(known) + 1
    for line, row in zip(lines[1:], told, strict=True):
        assert line.split()[0] == row["name"]
        assert row["source"] in line
    assert np.unique([row["name"] for row in told]).size == len(told)
