"""The static encoder: a table of token vectors that stands for a Transformer."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import SentenceEncoder, load_encoder
from data_prep.embedding.static import StaticEncoder, distil
from data_prep.errors import InputError

WORDS = ["[UNK]", "rose", "cream", "the", "oil", "tea"]
TEXTS = ["the rose cream", "the rose oil", "the tea", "the the tea cream"]


@pytest.fixture(scope="module")
def tokenizer() -> str:
    made = Tokenizer(WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    return str(made.to_str())


@pytest.fixture(scope="module")
def table() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((len(WORDS), 5)).astype(np.float32)


@pytest.fixture(scope="module")
def static(tokenizer: str, table: NDArray[np.float32]) -> StaticEncoder:
    return distil(table, tokenizer, TEXTS, 3, "a teacher")


def test_a_vector_is_the_weighted_mean_of_the_principal_components(
    table: NDArray[np.float32], static: StaticEncoder
) -> None:
    counts = np.asarray([0, 2, 2, 5, 1, 2]) + 1  # of the words in the texts, and one more
    share = counts / counts.sum()
    centred = table - share @ table
    _, _, axes = np.linalg.svd(centred * np.sqrt(share)[:, None])
    rows = centred @ axes[:3].T * (1e-3 / (1e-3 + share))[:, None]
    expected = 2 * rows[3] + rows[1]
    found = static.encode(["the rose the"], 1)[0]
    cosines = np.abs(found) * np.linalg.norm(expected)
    assert np.allclose(cosines, np.abs(expected), atol=1e-5)  # an axis may point either way
    assert static.texts == 4


def test_a_vector_does_not_depend_on_its_batch_and_is_kept_in_a_folder(
    tmp_path: Path, static: StaticEncoder
) -> None:
    static.write(tmp_path / "static")
    again = load_encoder(str(tmp_path / "static"))
    assert (again.revision, again.dimension) == (static.revision, 3)
    together = embed(TEXTS, again)
    assert np.array_equal(together, np.concatenate([static.encode([text], 1) for text in TEXTS]))
    assert np.allclose(np.linalg.norm(together, axis=1), 1)
    assert not static.encode([""], 1).any()
    (tmp_path / "static" / "tokenizer.json").write_text(static._json.replace("rose", "rise"))
    with pytest.raises(InputError, match="has changed"):
        load_encoder(str(tmp_path / "static"))
    for damaged in ("", "{"):
        (tmp_path / "static" / "tokenizer.json").write_text(damaged)
        with pytest.raises(InputError, match="is not a fitted encoder"):
            load_encoder(str(tmp_path / "static"))


def test_what_cannot_be_distilled_is_refused(tokenizer: str, table: NDArray[np.float32]) -> None:
    with pytest.raises(InputError, match="the model allows 2 to 5"):
        distil(table, tokenizer, TEXTS, 6, "a teacher")
    with pytest.raises(InputError, match="no text has a token"):
        distil(table, tokenizer, [""], 3, "a teacher")


def test_token_vectors_are_those_of_the_token_alone() -> None:
    encoder = load_encoder()
    assert isinstance(encoder, SentenceEncoder)
    row = encoder._model.tokenizer("soap", add_special_tokens=False)["input_ids"][0]
    found = encoder.token_vectors([100, row])[1]
    alone = encoder.encode(["soap"], encoder.lengths(["soap"])[0])[0]
    assert np.allclose(found, alone, atol=1e-5)
