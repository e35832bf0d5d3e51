"""One tokenizer on the CPU and on a GPU: speeds, and how many items get other codes."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_prep.demo import demo_items
from data_prep.embedding.devices import resolve_device
from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import load_encoder
from data_prep.text import TextTemplate
from tests.bench.measure import best_seconds
from tokenizer.config import FitConfig
from tokenizer.pipeline import Pipeline
from tokenizer.training.fit import fit

__all__ = ["devices"]

ITEMS = 4000


def devices() -> dict[str, Any]:
    """Fit on the CPU, then tokenize on CPU and GPU, from texts and from the CPU's vectors.

    Without a GPU the result says so and has no figures.
    """
    if resolve_device("auto") == "cpu":
        return {"skipped": f"torch {torch.__version__} sees no GPU here"}
    texts = TextTemplate().render_all(demo_items(ITEMS).iter_rows(named=True))
    encoder = load_encoder()
    vectors = embed(texts, encoder)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "tokenizer"
        config = FitConfig(steps=600)
        fit(folder, vectors, config, TextTemplate(), encoder, "generated", baseline=False)
        here, there = Pipeline.load(folder), Pipeline.load(folder, "cuda")
    moved = there.embed(texts)
    codes = here.tokenize(vectors).codes
    of_vectors, of_texts = there.tokenize(vectors).codes, there.tokenize(moved).codes
    return {
        "gpu": torch.cuda.get_device_name(),
        "items": ITEMS,
        "largest_move_of_a_vector": float(np.abs(moved - vectors).max()),
        "share_with_other_codes": float((of_texts != codes).any(1).mean()),
        "share_with_other_codes_of_the_same_vectors": float((of_vectors != codes).any(1).mean()),
        "cpu_vectors_per_second": ITEMS / best_seconds(lambda: here.tokenize(vectors)),
        "gpu_vectors_per_second": ITEMS / best_seconds(lambda: there.tokenize(vectors)),
        "gpu_texts_per_second": ITEMS / best_seconds(lambda: there.embed(texts)),
    }
