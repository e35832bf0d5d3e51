"""Prompts and truncation of sentence-transformers models, on a model made here."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import (  # type: ignore[attr-defined]  # transformers makes one when asked
    BertConfig,
    BertModel,
    BertTokenizerFast,
)

from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import load_encoder
from data_prep.embedding.model_settings import ModelSettings
from data_prep.errors import InputError
from tokenizer.artifact import EncoderReference

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "red",
    "blue",
    "cup",
    "pot",
    "query",
    ":",
    "passage",
]
TEXTS = ["red cup", "blue pot", "red pot"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write a small model with random weights and two prompts; return its folder."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder / "bert")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"))
    made = SentenceTransformer(
        modules=[transformer, Pooling(16)], prompts={"query": "query: ", "passage": "red: "}
    )
    made.save(str(folder / "whole"))
    return str(folder / "whole")


def _vectors(name: str, settings: ModelSettings | None = None) -> NDArray[np.float32]:
    return embed(TEXTS, load_encoder(name, settings=settings))


def test_a_prompt_is_named_or_written(model: str) -> None:
    plain, named = _vectors(model), _vectors(model, ModelSettings(prompt="query"))
    written = _vectors(model, ModelSettings(prompt="query: "))
    assert np.array_equal(named, written)
    assert not np.allclose(plain, named)
    library = SentenceTransformer(model).encode(TEXTS, prompt_name="query")
    assert np.allclose(named, library, atol=1e-5)


def test_vectors_are_truncated_as_the_library_does(model: str) -> None:
    cut = load_encoder(model, settings=ModelSettings(truncate_dim=4))
    assert (cut.dimension, embed(TEXTS, cut).shape) == (4, (3, 4))
    library = SentenceTransformer(model, truncate_dim=4).encode(TEXTS)
    assert np.allclose(embed(TEXTS, cut), library, atol=1e-5)
    assert cut.revision != load_encoder(model).revision
    with pytest.raises(InputError, match="vectors of 16 numbers; --truncate-dim 17 is more"):
        load_encoder(model, settings=ModelSettings(truncate_dim=17))


def test_a_tokenizer_keeps_the_settings(model: str) -> None:
    settings = ModelSettings(prompt="passage", truncate_dim=8)
    kept = EncoderReference.of(load_encoder(model, settings=settings))
    assert EncoderReference.model_validate(kept.model_dump(mode="json")).settings == settings
    assert "settings" not in EncoderReference.of(load_encoder(model)).model_dump()


def test_settings_of_other_encoders_are_refused() -> None:
    for name in ("hashing", "minilm", "ngrams"):
        with pytest.raises(InputError, match="no revision, prompt or truncation"):
            load_encoder(name, settings=ModelSettings(prompt="x"))
