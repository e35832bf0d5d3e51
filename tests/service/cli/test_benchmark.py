"""`semid benchmark amazon` over raw files of generated shoppers."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_prep.demo import demo_interactions, demo_items
from data_prep.significance import paired_t
from recsys.benchmarks.published import COMPARABLE, PUBLISHED
from recsys.evaluation.metrics import per_user
from tests.service.cli.command import Command, refused

FAST = ("--preset", "smoke", "--encoder", "hashing", "--set", "steps=10", "--set", "batch_size=32")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Write a category as Amazon's files have it; two of its items have no metadata."""
    items = demo_items(60)
    events = demo_interactions(items, shoppers=120)
    folder = tmp_path / "raw" / "Toys_and_Games"
    folder.mkdir(parents=True)
    with gzip.open(folder / "reviews_Toys_and_Games_5.json.gz", "wt") as file:
        for row in events.iter_rows(named=True):
            review = {
                "reviewerID": row["user_id"],
                "asin": row["item_id"],
                "unixReviewTime": row["timestamp"],
            }
            file.write(json.dumps(review) + "\n")
    with gzip.open(folder / "meta_Toys_and_Games.json.gz", "wt") as file:
        for row in items.head(58).iter_rows(named=True):
            about = {"asin": row["item_id"], "title": row["title"], "brand": row["brand"]}
            file.write(json.dumps(about) + "\n")
    return tmp_path / "raw"


def _run(semid: Command, raw: Path, *more: object) -> str:
    done = semid("benchmark", "amazon", raw, *FAST, "--out", "out", *more)
    assert done.code == 0, done.errors
    return done.output


def test_tables_say_what_the_records_say(raw: Path, semid: Command, tmp_path: Path) -> None:
    models = ("--models", "sasrec,dual-encoder", "--quantizers", "grit,kmeans")
    text = _run(semid, raw, *models, "--seeds", "2", "--cold", "0.2")
    out = tmp_path / "out"
    records = [json.loads(path.read_text()) for path in (out / "records").iterdir()]
    # shares × (popularity, co-occurrence, nearest content, and that of each tokenizer; two seeds of
    # sasrec and of one model on two tokenizers)
    assert len(records) == 2 * ((3 + 2) + 2 * (1 + 2))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["data"]["Toys_and_Games"]["items_without_text"] == 2
    for row in summary["rows"]:
        own = [
            record
            for record in records
            if (record["cell"]["model"], record["cell"]["tokenizer"], record["cell"]["cold"])
            == (row["model"], row["tokenizer"], row["cold"])
        ]
        for candidates in ("all", "without_history"):
            found = row["figures"]["Toys_and_Games"]["metrics"][candidates]["recall@10"]
            each = [record["metrics"][candidates]["recall@10"] for record in own]
            assert found["mean"] == pytest.approx(np.mean(each))
            if not row["cold"]:
                assert f"{np.mean(each):.4f}" in text
    test = next(
        each
        for each in summary["significance"]
        if (each["cold"], each["candidates"], each["metric"]) == (0, "all", "recall@10")
        and (each["system"], each["baseline"])
        == ("dual-encoder · grit-3x16-beam5", "dual-encoder · kmeans-3x16-beam5")
    )
    values = []
    stem = "Toys_and_Games-dual-encoder"
    for name in ("grit", "kmeans"):
        ranks = [
            np.load(out / "ranks" / f"{stem}-{name}-3x16-beam5-seed{seed}.npz")["all"]
            for seed in range(2)
        ]
        values.append(np.mean([per_user(rank)["recall@10"] for rank in ranks], axis=0))
    assert test["difference"] == pytest.approx((values[0] - values[1]).mean())
    assert test["p_t"] == pytest.approx(paired_t(*values))
    assert test["p_t"] <= test["p_holm"] <= 1
    shown = semid("benchmark", "tables", out)
    assert shown.code == 0, shown.errors
    assert json.loads((out / "summary.json").read_text())["data"] == summary["data"]
    assert set(shown.output.splitlines()) - {""} <= set(text.splitlines()) | {""}
    for picture in ("recall@10.png", "ndcg@10.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")


def test_a_second_run_measures_what_is_missing_and_nothing_else(
    raw: Path, semid: Command, tmp_path: Path
) -> None:
    first = _run(semid, raw, "--models", "sasrec,tiger")
    records = tmp_path / "out" / "records"
    written = {path.name: path.stat().st_mtime_ns for path in records.iterdir()}
    lost = records / "Toys_and_Games-sasrec-seed0.json"
    before = json.loads(lost.read_text())
    lost.unlink()
    assert _run(semid, raw, "--models", "sasrec,tiger") == first
    again = json.loads(lost.read_text())
    assert again["metrics"] == before["metrics"]
    for path in records.iterdir():
        assert path == lost or path.stat().st_mtime_ns == written[path.name]


def test_prepared_files_are_trained_on_with_torch_alone(
    raw: Path, semid: Command, tmp_path: Path
) -> None:
    """As on a machine that has neither faiss nor polars; the tables then take the record."""
    _run(semid, raw, "--models", "dual-encoder", "--prepare-only")
    assert not (tmp_path / "out" / "records").exists()
    prepared = tmp_path / "out" / "datasets" / "Toys_and_Games-grit-3x16-beam5.safetensors"

    def train(model: str) -> subprocess.CompletedProcess[str]:
        program = (
            "import runpy, sys\n"
            "for name in ('faiss', 'polars', 'pydantic', 'sentence_transformers', 'sklearn'):\n"
            "    sys.modules[name] = None\n"
            f"sys.argv = ['x', {str(prepared)!r}, '--model', {model!r}, '--preset', 'smoke',\n"
            "    '--seeds', '1', '--device', 'cpu', '--out', 'out']\n"
            "runpy.run_module('recsys.benchmarks', run_name='__main__')\n"
        )
        command = [sys.executable, "-c", program]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = train("dual-encoder")
    assert done.returncode == 0, done.stderr
    refusal = train("sasrec")
    assert refusal.returncode == 1
    assert refusal.stderr.endswith(
        "sasrec reads none of these files; give it CATEGORY.safetensors\n"
    )
    record = tmp_path / "out" / "records" / "Toys_and_Games-dual-encoder-grit-3x16-beam5-seed0.json"
    written = record.stat().st_mtime_ns
    kept = json.loads(record.read_text())
    assert kept["tokenizer"]["fitted_to"] == ["Toys_and_Games"]
    assert kept["record"]["command"].endswith("--device cpu --out out")
    _run(semid, raw, "--models", "dual-encoder")
    assert record.stat().st_mtime_ns == written


def test_what_cannot_be_is_refused(raw: Path, semid: Command) -> None:
    start = ("benchmark", "amazon", raw, *FAST, "--out", "out")
    for wrong, said in [
        (("--models", "oracle"), "oracle"),
        (("--quantizers", "sieve"), "sieve"),
        (("--categories", "Books"), "'Books'"),
        (("--preset", "huge"), "huge"),
        (("--device", "cuda"), "--device cuda"),
        (("--levels", "many"), "levels"),
    ]:
        refused(semid(*start, *wrong), said)
    refused(semid("benchmark", "tables", raw), "no records")
    refused(semid("benchmark", "amazon", raw / "none", "--out", "out"), "is not a folder")
    refused(semid("benchmark", "amazon", raw.parent / "cache", "--out", "o"), "cache")


def test_published_rows_are_named_once() -> None:
    assert set(COMPARABLE.values()) <= set(PUBLISHED)
    assert PUBLISHED["GRIT-VQ paper: GRIT-VQ"].figures["Beauty"] == (0.068, 0.040)
