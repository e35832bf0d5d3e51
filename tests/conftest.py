"""What many tests stand on: a small generated catalogue and a tokenizer fitted on it."""

from data_prep.threads import use_threads

use_threads()  # before torch loads, also for the processes that tests start

import os

os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}  # read when the hub's library loads

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from data_prep.demo import demo_items
from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import Encoder, load_encoder
from data_prep.text import TextTemplate
from tokenizer.artifact import TokenizerArtifact
from tokenizer.config import AutoencoderConfig, FitConfig
from tokenizer.pipeline import Pipeline
from tokenizer.quantizer_config import GritConfig
from tokenizer.training.fit import fit

SMALL = FitConfig(
    steps=60,
    warmup_steps=20,
    batch_size=256,
    evaluate_every=20,
    codebook_learning_rate=0.0,
    quantizer=GritConfig(levels=3, codebook_size=32, rank=4, search_beam=1, crowded_choices=1),
    autoencoder=AutoencoderConfig(network="mlp", hidden=(64,), latent=16, dropout=0.0),
)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data, or skip."""
    folder = os.environ.get("SEMID_DATA")
    if not folder:
        pytest.skip("SEMID_DATA is unset: this test needs real data")
    return Path(folder)


@pytest.fixture(scope="session")
def items() -> pl.DataFrame:
    """Return 600 generated items."""
    return demo_items(600)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder("hashing")


@pytest.fixture(scope="session")
def vectors(items: pl.DataFrame, encoder: Encoder) -> NDArray[np.float32]:
    return embed(TextTemplate().render_all(items.iter_rows(named=True)), encoder)


@pytest.fixture(scope="session")
def tokenizer_folder(
    tmp_path_factory: pytest.TempPathFactory, vectors: NDArray[np.float32], encoder: Encoder
) -> Path:
    folder = tmp_path_factory.mktemp("fitted") / "tokenizer"
    fit(folder, vectors, SMALL, TextTemplate(markup="strip"), encoder, "digest of the catalogue")
    return folder


@pytest.fixture(scope="session")
def pipeline(tokenizer_folder: Path) -> Pipeline:
    return Pipeline.load(tokenizer_folder)


@pytest.fixture(scope="session")
def reassigning(
    tmp_path_factory: pytest.TempPathFactory, vectors: NDArray[np.float32], encoder: Encoder
) -> Pipeline:
    """Return a tokenizer by the policy reassign, with 1,024 IDs for the 600 items."""
    folder = tmp_path_factory.mktemp("fitted") / "reassigning"
    crowded = replace(SMALL, quantizer=replace(SMALL.quantizer, levels=2))
    fit(folder, vectors, crowded, TextTemplate(), encoder, "d", baseline=False, policy="reassign")
    return Pipeline.load(folder)


@pytest.fixture(scope="session")
def vector_tokenizer(
    tmp_path_factory: pytest.TempPathFactory, vectors: NDArray[np.float32]
) -> TokenizerArtifact:
    """Return a tokenizer that was fitted on vectors and has no text encoder."""
    folder = tmp_path_factory.mktemp("fitted") / "of-vectors"
    return fit(folder, vectors, SMALL, TextTemplate(), None, "digest", baseline=False)
