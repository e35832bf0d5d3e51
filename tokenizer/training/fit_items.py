"""Items or vectors in memory → a frozen tokenizer."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache, default_cache_folder, embed
from data_prep.embedding.encoders import DEFAULT_ENCODER, encoder_for
from data_prep.tables import check_vectors
from data_prep.text import DEFAULT_FIELDS, TextTemplate
from tokenizer.artifact import TokenizerArtifact
from tokenizer.config import FitConfig
from tokenizer.ids.policy import Policy
from tokenizer.model.vector_checks import check_finite
from tokenizer.training.fit import fit_frozen

__all__ = ["fit_items", "fit_vectors"]


def fit_items(
    items: pl.DataFrame,
    training: FitConfig,
    text_fields: Sequence[str] | None = None,
    encoder: str | None = None,
    policy: Policy = "suffix",
    cache: Path | None = None,
    device: str = "cpu",
) -> TokenizerArtifact:
    """Fit a tokenizer to a catalogue: to its column `vector` if it has one, else to its texts.

    Args:
        items: the Items table.
        text_fields: the fields that make the text, in order; None for the default ones.
        encoder: name of the text encoder; None for the default one.
        cache: folder that keeps the vectors of texts; None for the default folder.
        device: as `data_prep.embedding.devices.resolve_device` returns it.

    Raises:
        InputError: an item has no text or vector; and as `fit_frozen`.
    """
    if "vector" in items.columns:
        own = check_vectors(items.select("item_id", "vector"), "items")["vector"].to_numpy()
        check_finite(own, items["item_id"].to_list())
        return fit_vectors(own, training, policy, device)
    template = TextTemplate.of(
        DEFAULT_FIELDS if text_fields is None else text_fields, items.columns
    )
    texts = template.render_all(items.iter_rows(named=True))
    model = encoder_for(encoder or DEFAULT_ENCODER, texts, device)
    with EmbeddingCache(cache or default_cache_folder()) as kept:
        vectors = embed(texts, model, kept)
    digest = sha256(vectors.tobytes()).hexdigest()
    return fit_frozen(
        vectors, training, template, model, digest, baseline=False, policy=policy, device=device
    )


def fit_vectors(
    vectors: NDArray[np.float32],
    training: FitConfig,
    policy: Policy = "suffix",
    device: str = "cpu",
) -> TokenizerArtifact:
    """Fit a tokenizer to the user's own vectors (n, D), without an encoder.

    Raises:
        InputError: as `fit_frozen`.
    """
    digest = sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()
    return fit_frozen(
        vectors, training, TextTemplate(), None, digest, baseline=False, policy=policy,
        device=device,
    )  # fmt: skip
