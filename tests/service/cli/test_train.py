"""`semid prepare training`, `semid train`, `semid evaluate`, over generated shoppers."""

import json
from pathlib import Path

import polars as pl
import pytest

from data_prep.demo import demo_interactions, demo_items
from tests.service.cli.command import Command, refused


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Write items, interactions and IDs of generated shoppers."""
    items = demo_items(120)
    items.write_parquet(tmp_path / "items.parquet")
    demo_interactions(items, shoppers=80).write_parquet(tmp_path / "events.parquet")
    pl.DataFrame(
        {
            "item_id": items["item_id"],
            "codes": [[row // 30, row % 30 // 5] for row in range(120)],
            "suffix": [row % 5 for row in range(120)],
            "tokenizer": ["f00d"] * 120,
        },
        schema_overrides={"codes": pl.List(pl.UInt16), "suffix": pl.UInt32},
    ).write_parquet(tmp_path / "ids.parquet")
    return tmp_path


def _prepare(semid: Command, *more: object) -> None:
    done = semid(
        *("prepare", "training", "events.parquet", "--items", "items.parquet"),
        *("--ids", "ids.parquet", "--out", "training.safetensors", *more),
    )
    assert done.code == 0, done.errors


@pytest.mark.parametrize("model", ["sasrec", "dual-encoder-residual", "tiger"])
def test_a_recommender_is_trained_kept_and_tested(model: str, tables: Path, semid: Command) -> None:
    _prepare(semid)
    trained = semid("train", "training.safetensors", "--model", model, "--preset", "smoke",
                    "--set", "epochs=1", "--out", "r")  # fmt: skip
    assert trained.code == 0, trained.errors
    assert not (tables / "r.training").exists()
    tested = semid("evaluate", "r", "training.safetensors", "--out", "figures.json")
    assert tested.code == 0, tested.errors
    figures = json.loads((tables / "figures.json").read_text())
    kept = json.loads((tables / "r" / "metrics.json").read_text())
    assert kept["test"] == figures["test"]
    assert kept["epochs"] == kept["training"]["epochs"] == 1
    for protocol in ("all", "without_history"):
        assert 0 <= figures["test"][protocol]["ndcg@10"] <= figures["test"][protocol]["recall@10"]
    assert f"| recall@10 | {figures['test']['all']['recall@10']:.4f} |" in tested.output
    again = semid("train", "training.safetensors", "--out", "r")
    refused(again, "r exists")


def test_a_learning_rate_that_is_too_high_is_named(tables: Path, semid: Command) -> None:
    _prepare(semid)
    failed = semid("train", "training.safetensors", "--model", "sasrec", "--preset", "smoke",
                   "--set", "learning_rate=1e10", "--set", "epochs=1", "--out", "r")  # fmt: skip
    assert failed.code == 1
    assert failed.errors.splitlines()[-1].endswith("lower the learning rate")
    assert "Traceback" not in failed.errors
    assert not (tables / "r").exists()


def test_what_cannot_be_is_refused(tables: Path, semid: Command) -> None:
    events = pl.read_parquet(tables / "events.parquet")
    strange = events.with_columns(
        pl.when(pl.int_range(pl.len()) < 3)
        .then(pl.lit("gone"))
        .otherwise("item_id")
        .alias("item_id")
    )
    strange.write_parquet(tables / "strange.parquet")
    prepare = ("prepare", "training", "strange.parquet", "--items", "items.parquet", "--out", "t")
    refused(semid(*prepare), "3 of", "'gone'")
    assert not (tables / "t").exists()
    assert semid(*prepare, "--most-unknown", "0.1").code == 0
    _prepare(semid)
    for wrong, said in [
        (("train", "training.safetensors", "--out", "r", "--model", "oracle"), "oracle"),
        (("train", "training.safetensors", "--out", "r", "--preset", "huge"), "huge"),
        (("train", "training.safetensors", "--out", "r", "--set", "pace=3"), "option pace"),
        (("train", "training.safetensors", "--out", "r", "--set", "epochs=x"), "option epochs"),
        (("train", "training.safetensors", "--out", "r", "--set", "epochs=0"), "epochs is 0"),
        (("train", "training.safetensors", "--out", "r", "--set", "seed=5"), "option seed"),
        (("train", "training.safetensors", "--out", "r", "--device", "cpu:"), "--device cpu:"),
        (("train", "training.safetensors", "--out", "r", "--device", "cuda:9"), "--device cuda:9"),
        (("train", "items.parquet", "--out", "r"), "items.parquet"),
        (("evaluate", ".", "training.safetensors"), "is not a recommender"),
    ]:
        refused(semid(*wrong), said)
    whole = (tables / "training.safetensors").read_bytes()
    (tables / "training.safetensors").write_bytes(whole[:-9])
    refused(semid("train", "training.safetensors", "--out", "r"), "cannot be read")
