"""The encoder that is fitted to a catalogue."""

import json
from pathlib import Path

import numpy as np
import pytest

from data_prep.embedding.encoders import encoder_for, load_encoder, weights_to_keep
from data_prep.embedding.latent_semantic import LatentSemanticConfig, LatentSemanticEncoder
from data_prep.errors import InputError

SMALL = LatentSemanticConfig(dimension=16, buckets=1024, sample=500)


def _texts(seed: int, count: int, topics: int = 8) -> tuple[list[str], np.ndarray]:
    """Return texts with six of the 40 terms of their topic and four common terms, and topics."""
    draw = np.random.default_rng(seed)
    topic = draw.integers(topics, size=count)
    own = 1000 + 40 * topic[:, None] + draw.integers(40, size=(count, 6))
    common = draw.integers(10, size=(count, 4))
    return [" ".join(map(str, row)) for row in np.hstack([own, common])], topic


def test_texts_of_one_topic_are_near_even_without_a_shared_term() -> None:
    texts, _ = _texts(0, 1500)
    encoder = LatentSemanticEncoder.fit(texts, SMALL)
    fresh, topic = _texts(1, 200)
    vectors = encoder.encode(fresh, 1)
    terms = [set(text.split()[:6]) for text in fresh]
    unshared = np.asarray([[not (a & b) for b in terms] for a in terms])
    same = (topic[:, None] == topic) & unshared
    other = (topic[:, None] != topic) & unshared
    nearness = vectors @ vectors.T
    assert nearness[same].mean() > nearness[other].mean() + 0.3
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_text_has_the_same_bits_in_any_company() -> None:
    texts, _ = _texts(0, 300)
    encoder = LatentSemanticEncoder.fit(texts, SMALL)
    together = encoder.encode(texts, 1)
    alone = np.concatenate([encoder.encode([text], 1) for text in texts[::-1]])[::-1]
    assert (together == alone).all()


def test_a_text_of_unknown_terms_is_not_zero() -> None:
    encoder = LatentSemanticEncoder.fit(["1 2 3", "2 3 4"], SMALL)
    vectors = encoder.encode(["77 78", "79"], 1)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert abs(float(vectors[0] @ vectors[1])) < 0.999


def test_what_is_written_is_read_again_and_fitted_alike(tmp_path: Path) -> None:
    texts, _ = _texts(0, 300)
    encoder = LatentSemanticEncoder.fit(iter(texts), SMALL)
    encoder.write(tmp_path / "one")
    loaded = load_encoder(str(tmp_path / "one"))
    assert loaded.revision == encoder.revision
    assert loaded.name == str(tmp_path / "one")
    assert (loaded.encode(texts, 1) == encoder.encode(texts, 1)).all()
    other = LatentSemanticEncoder.fit(texts[:200], SMALL)
    assert other.revision != encoder.revision
    other.write(tmp_path / "one")
    assert load_encoder(str(tmp_path / "one")).revision == other.revision


def test_a_changed_folder_is_refused(tmp_path: Path) -> None:
    LatentSemanticEncoder.fit(["1 2", "2 3"], SMALL).write(tmp_path / "one")
    config = tmp_path / "one" / "encoder.json"
    body = json.loads(config.read_text())
    body["texts"] = 3
    config.write_text(json.dumps(body))
    with pytest.raises(InputError, match="has changed since"):
        LatentSemanticEncoder.load(tmp_path / "one")
    (tmp_path / "one" / "weights.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="is not a fitted encoder"):
        LatentSemanticEncoder.load(tmp_path / "one")


def test_the_sample_bounds_what_is_kept_and_is_uniform() -> None:
    """The SVD of a sample finds the topics of texts from the whole stream, not of its start."""
    first, _ = _texts(0, 1500, topics=2)
    later, topic = _texts(1, 1500, topics=8)
    encoder = LatentSemanticEncoder.fit(
        first + later, LatentSemanticConfig(dimension=16, buckets=1024, sample=400)
    )
    vectors = encoder.encode(later, 1)
    last = topic >= 6
    assert (vectors[last] @ vectors[last].T).mean() > (
        vectors[last] @ vectors[~last].T
    ).mean() + 0.2


def test_bad_configurations_and_empty_catalogues_are_refused() -> None:
    with pytest.raises(InputError, match="unknown terms 'letters'"):
        LatentSemanticEncoder.fit(["1"], LatentSemanticConfig(terms="letters"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="dimension is 1"):
        LatentSemanticEncoder.fit(["1"], LatentSemanticConfig(dimension=1))
    with pytest.raises(InputError, match="two texts with words"):
        LatentSemanticEncoder.fit(["", " "], SMALL)


def test_packed_into_one_file_it_is_the_same_encoder() -> None:
    fitted = encoder_for("ngrams", ["red cup", "blue cup", "tea pot", "oak board"])
    weights = weights_to_keep(fitted)
    assert weights is not None
    again = load_encoder("ngrams", weights=weights)
    assert again.revision == fitted.revision
    texts = ["green cup", "抹茶"]
    assert np.array_equal(again.encode(texts, 1), fitted.encode(texts, 1))
    assert np.abs(again.encode(texts, 1)).max(axis=1).min() > 0
    for wrong, said in ((None, "kept in the folder of its tokenizer"), (weights[:99], "damaged")):
        with pytest.raises(InputError, match=said):
            load_encoder("ngrams", weights=wrong)
