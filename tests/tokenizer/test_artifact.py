import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from data_prep.embedding.encoders import Encoder
from data_prep.errors import InputError
from data_prep.text import TextTemplate
from tests.conftest import SMALL
from tokenizer.artifact import load
from tokenizer.training.fit import fit


@pytest.fixture
def folder(tokenizer_folder: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(tokenizer_folder, copy)
    return copy


def test_saved_and_loaded_gives_the_same_codes(
    tmp_path: Path, vectors: NDArray[np.float32], encoder: Encoder, tokenizer_folder: Path
) -> None:
    """And the same fit gives the same fingerprint."""
    saved = fit(tmp_path / "t", vectors, SMALL, TextTemplate(), encoder, "d", baseline=False)
    loaded = load(tmp_path / "t")
    x = torch.from_numpy(vectors)
    assert torch.equal(saved.model.encode(x), loaded.model.encode(x))
    assert saved.fingerprint == loaded.fingerprint == load(tokenizer_folder).fingerprint
    assert saved.config == loaded.config


def test_metrics_report_health_and_the_baseline_and_their_making(tokenizer_folder: Path) -> None:
    metrics = load(tokenizer_folder).metrics
    assert len(metrics["levels"]) == 3
    assert 0 < metrics["train_error"] < 1
    baseline = metrics["faiss_residual_quantizer"]
    assert (baseline["levels"], baseline["bits"]) == (3, 5)
    assert 0 < baseline["held_out_error"] < 1
    assert {"seed", "versions", "data_fingerprint", "command", "wall_seconds", "machine"} <= set(
        metrics["record"]
    )


@pytest.mark.parametrize("position", [0, 100, -1])
def test_a_flipped_byte_is_noticed(folder: Path, position: int) -> None:
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[position] ^= 1
    (folder / "weights.safetensors").write_bytes(weights)
    with pytest.raises(InputError, match="do not match the fingerprint"):
        load(folder)


def test_a_changed_config_is_noticed(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text"]["fields"] = ["brand"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="do not match the fingerprint"):
        load(folder)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "metrics.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"has no {name}"):
        load(folder)


def test_another_format_is_named(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["format"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="has format 1; this version of semid reads format 2"):
        load(folder)


def test_what_is_no_tokenizer_is_named(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        load(folder)
    with pytest.raises(InputError, match="not a folder"):
        load(folder / "nothing")


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.ones((1, 4)), "too few"),
        (np.ones((30, 4)), "same vector"),
        (np.full((30, 4), np.nan), "row 1 has NaN"),
        (np.eye(30)[:, :4], "row 5 has only zeros"),
    ],
)
def test_vectors_that_teach_nothing_are_refused(
    tmp_path: Path, vectors: NDArray[np.float64], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        fit(tmp_path / "t", vectors.astype(np.float32), SMALL, TextTemplate(), None, "d")
    assert not (tmp_path / "t").exists()


def test_fewer_items_than_codewords_work(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    saved = fit(tmp_path / "t", vectors[:20], SMALL, TextTemplate(), None, "d")
    assert "skipped" in saved.metrics["faiss_residual_quantizer"]
    assert saved.metrics["items"] == 20
