import json
import shutil
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save as save_tensors

from data_prep.embedding.encoders import Encoder
from data_prep.errors import InputError
from data_prep.text import TextTemplate
from tests.conftest import SMALL
from tokenizer.artifact import load
from tokenizer.config import AutoencoderConfig
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.quantizer_config import CONFIGS, as_variant, variant_config
from tokenizer.report.tokenizer_page import report
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
    text = TextTemplate(markup="strip")
    saved = fit(tmp_path / "t", vectors, SMALL, text, encoder, "d", baseline=False)
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


def test_nothing_held_out_is_said(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    config = replace(SMALL, held_out=0.0)
    saved = fit(tmp_path / "t", vectors, config, TextTemplate(), None, "d")
    assert saved.metrics["held_out_error"] is None
    assert saved.metrics["faiss_residual_quantizer"]["held_out_error"] is None
    assert "none held out" in report(load(tmp_path / "t"), None)


OLD_CONFIG = """{
  "format": 2, "dimension": 8,
  "training": {
    "steps": 2500, "warmup_steps": 200, "batch_size": 1024, "learning_rate": 0.002,
    "weight_decay": 0.01, "held_out": 0.1, "evaluate_every": 100, "patience": 10, "seed": 3,
    "separation": 0.1, "separation_margin": 2.0,
    "quantizer": {
      "name": "NAME", "levels": 2, "codebook_size": 16, "search_beam": 2, "start": "kmeans",
      "radius": "huber", "psi_max": 1.0, "transform": "linear", "rank": 4, "top_k": 8,
      "spectral_clip": 4.0, "feed": "hard", "protocol": "joint", "usage_weight": 0.0,
      "sum_weight": 1.0, "reset_below": 0.05, "row_norm": false, "codeword_norm": false,
      "gain": true, "refresh_every": 1, "commitment": 0.5, "codebook_weight": 1.0, "decay": 0.9,
      "noise_variance": 0.001, "wasserstein": 0.5, "fsq_levels": [4, 4], "entropy_weight": 1.0
    },
    "autoencoder": {"network": "identity", "hidden": [512, 256, 128], "latent": 32, "dropout": 0.0}
  },
  "text": TEXT, "encoder": null, "policy": "suffix", "versions": {"semid": "1.0.0"}
}"""


@pytest.mark.parametrize("name", ["grit", "ste", "fsq", "ema"])
def test_a_config_with_the_fields_of_all_variants_still_loads(folder: Path, name: str) -> None:
    """Until November 2026 config.json had them all; each variant takes its own."""
    text = json.dumps(json.loads((folder / "config.json").read_text())["text"])
    body = json.loads(OLD_CONFIG.replace("NAME", name).replace("TEXT", text))
    old = body["training"]["quantizer"] | {"crowded_choices": 1}  # as it was then
    config = variant_config(name, **{k: v for k, v in old.items() if k in _own(name)})
    model = Autoencoder(8, AutoencoderConfig(network="identity"), config).eval()
    x = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    model.quantizer.start_from(model.start_from(x), torch.Generator().manual_seed(0))
    weights = save_tensors(dict(model.state_dict()))
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    fingerprint = sha256(canonical + sha256(weights).digest()).hexdigest()
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "config.json").write_text(json.dumps({"fingerprint": fingerprint, **body}))
    loaded = load(folder)
    assert loaded.fingerprint == fingerprint
    assert torch.equal(loaded.model.encode(x), model.encode(x))
    quantizer = loaded.config.quantizer
    assert type(quantizer) is CONFIGS[name]
    assert (quantizer.levels, quantizer.codebook_size, quantizer.search_beam) == (2, 16, 2)
    for field in _own(name):
        assert getattr(quantizer, field) in (old[field], tuple(np.ravel(old[field]))), field
    body["training"]["seed"] = 4
    (folder / "config.json").write_text(json.dumps({"fingerprint": fingerprint, **body}))
    with pytest.raises(InputError, match="do not match the fingerprint"):
        load(folder)


def _own(name: str) -> set[str]:
    return {field.name for field in fields(CONFIGS[name])} - {"name"}


def test_a_variant_is_saved_with_its_own_fields_alone(
    tmp_path: Path, vectors: NDArray[np.float32]
) -> None:
    config = replace(SMALL, steps=2, quantizer=as_variant(SMALL.quantizer, "wasserstein", {}))
    saved = fit(tmp_path / "t", vectors, config, TextTemplate(), None, "d", baseline=False)
    body = json.loads((tmp_path / "t" / "config.json").read_text())["training"]["quantizer"]
    assert body.keys() == _own("wasserstein") | {"name"}
    assert load(tmp_path / "t").config == saved.config
