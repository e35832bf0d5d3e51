"""The static encoder beside MiniLM on Beauty: texts a second, and neighbours that it keeps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import SentenceEncoder, load_encoder
from data_prep.embedding.static import distil
from tests.bench.measure import best_seconds
from tests.bench.texts import beauty_texts, demo_texts

__all__ = ["static"]

TEXTS, DIMENSION, NEAREST = 800, 256, 10


def static() -> dict[str, Any]:
    """Distil MiniLM with the frequencies of all texts, and compare both on some of them."""
    every = beauty_texts() or demo_texts(12_000)
    some = every[:: len(every) // TEXTS][:TEXTS]
    model = load_encoder()
    assert isinstance(model, SentenceEncoder)
    vectors, tokenizer = model.token_vectors(), model.tokenizer_json()
    encoder = distil(vectors, tokenizer, every, DIMENSION, model.name)
    theirs = len(some) / best_seconds(lambda: embed(some, model), repeats=1)
    ours = len(some) / best_seconds(lambda: embed(some, encoder))
    kept = [
        len(set(mine) & set(others)) / NEAREST
        for mine, others in zip(
            _nearest(embed(some, encoder)), _nearest(embed(some, model)), strict=True
        )
    ]
    return {
        "texts": len(some),
        "texts_per_second": ours,
        "minilm_texts_per_second": theirs,
        "ratio": ours / theirs,
        "neighbours_kept": float(np.mean(kept)),
    }


def _nearest(vectors: NDArray[np.float32]) -> list[list[int]]:
    scaled = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = scaled @ scaled.T
    np.fill_diagonal(cosines, -2)
    rows: list[list[int]] = np.argpartition(-cosines, NEAREST, axis=1)[:, :NEAREST].tolist()
    return rows
