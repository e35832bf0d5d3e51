import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.text import TextTemplate
from tokenizer.artifact import EncoderReference, TokenizerArtifact
from tokenizer.pipeline import Pipeline


@pytest.mark.parametrize("size", [1, 7, 100])
def test_codes_and_distortion_do_not_depend_on_the_batch(
    pipeline: Pipeline, vectors: NDArray[np.float32], size: int
) -> None:
    whole = pipeline.tokenize(vectors)
    parts = [pipeline.tokenize(vectors[row : row + size]) for row in range(0, 300, size)]
    codes = np.concatenate([part.codes for part in parts])[:300]
    distortion = np.concatenate([part.distortion for part in parts])[:300]
    assert codes.tobytes() == whole.codes[:300].tobytes()
    assert distortion.tobytes() == whole.distortion[:300].tobytes()
    latents = np.concatenate([pipeline.latents(vectors[r : r + size]) for r in range(0, 50, size)])
    assert latents[:50].tobytes() == pipeline.latents(vectors)[:50].tobytes()


def test_an_empty_batch_and_a_strided_one(pipeline: Pipeline, vectors: NDArray[np.float32]) -> None:
    assert pipeline.tokenize(vectors[:0]).codes.shape == (0, 3)
    rows, columns = pipeline.tokenize(vectors), pipeline.tokenize(np.asfortranarray(vectors))
    for name in ("codes", "distortion", "latents"):
        assert np.array_equal(getattr(rows, name), getattr(columns, name))


def test_distortion_averages_to_the_relative_error(
    pipeline: Pipeline, vectors: NDArray[np.float32]
) -> None:
    metrics = pipeline.metrics
    expected = 0.9 * metrics["train_error"] + 0.05 * (
        metrics["validation_error"] + metrics["held_out_error"]
    )
    assert pipeline.tokenize(vectors).distortion.mean() == pytest.approx(expected, rel=0.02)


def test_latents_of_codes_are_the_sums_of_codewords(
    pipeline: Pipeline, vectors: NDArray[np.float32]
) -> None:
    codes = pipeline.tokenize(vectors[:5]).codes
    expected = sum(pipeline.codebooks[level][codes[:, level]] for level in range(3))
    assert np.allclose(pipeline.latents_of_codes(codes), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v[:, :-1], "length 255; this tokenizer takes 256"),
        (lambda v: np.where(np.arange(len(v))[:, None] == 2, np.nan, v), "row 3 has NaN"),
        (lambda v: np.where(np.arange(len(v))[:, None] == 1, 0, v), "row 2 has only zeros"),
        (
            lambda v: np.where(np.arange(len(v))[:, None] == 1, 2e38, v),
            "row 2 has components beyond",
        ),
    ],
)
def test_vectors_that_cannot_be_tokenized_are_named(
    pipeline: Pipeline, vectors: NDArray[np.float32], change: object, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        pipeline.tokenize(change(vectors[:4]).astype(np.float32))  # type: ignore[operator]


def test_what_is_far_is_seen_from_the_mean(vector_tokenizer: TokenizerArtifact) -> None:
    """Components near 1.7e9 with a spread of 600, such as times, are as near as any."""
    model = copy.deepcopy(vector_tokenizer.model)
    model.mean[0], model.scale[...] = 1.7e9, 600.0
    pipeline = Pipeline(replace(vector_tokenizer, model=model))
    vector = pipeline.any_vector()
    assert vector[0] > 1.6e9
    assert len(pipeline.tokenize(vector[None, :]).codes) == 1
    vector[0] -= 1.7e9
    with pytest.raises(InputError, match=r"row 1 has components beyond 1e\+06 times"):
        pipeline.tokenize(vector[None, :])


def test_a_tokenizer_of_vectors_has_no_words(vector_tokenizer: TokenizerArtifact) -> None:
    with pytest.raises(InputError, match="fitted on vectors"):
        Pipeline(vector_tokenizer).embed(["soap"])


def test_another_encoder_is_refused(vector_tokenizer: TokenizerArtifact) -> None:
    reference = EncoderReference(name="hashing", revision="0")
    config = vector_tokenizer.config.model_copy(
        update={"encoder": reference, "text": TextTemplate()}
    )
    other = TokenizerArtifact(config, vector_tokenizer.model, {}, "fingerprint")
    with pytest.raises(InputError, match="fitted with 0"):
        Pipeline(other)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_any_vector_can_be_tokenized(vector_tokenizer: TokenizerArtifact, scale: float) -> None:
    model = copy.deepcopy(vector_tokenizer.model)
    model.scale.fill_(scale)
    pipeline = Pipeline(replace(vector_tokenizer, model=model))
    assert len(pipeline.tokenize(pipeline.any_vector()[None, :]).codes) == 1


def test_threads_do_not_matter(pipeline: Pipeline, vectors: NDArray[np.float32]) -> None:
    before = torch.get_num_threads()
    whole = pipeline.tokenize(vectors)
    torch.set_num_threads(1)
    try:
        alone = pipeline.tokenize(vectors)
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(whole.codes, alone.codes)
