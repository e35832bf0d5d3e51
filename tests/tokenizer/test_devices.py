"""A tokenizer on a GPU: any batch, the same codes; skipped by name where torch sees none."""

from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.text import TextTemplate
from tests.conftest import SMALL
from tokenizer.artifact import load
from tokenizer.index import decoded_index
from tokenizer.index.decoded_index import DecodedIndex
from tokenizer.index.residual_index import ResidualIndex
from tokenizer.index.semantic_index import SemanticIndex, resolve_index_device
from tokenizer.pipeline import Pipeline
from tokenizer.training.fit import fit

needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
needs_faiss_gpu = pytest.mark.skipif(
    not hasattr(faiss, "StandardGpuResources") or not torch.cuda.is_available(),
    reason="faiss-gpu is not installed, or sees no GPU",
)


def test_an_artifact_says_where_it_was_trained(tokenizer_folder: Path) -> None:
    said = load(tokenizer_folder).metrics["trained_on"]
    assert said["device"] == "cpu"
    assert said["torch"] == torch.__version__
    assert said["processor"]
    assert said["faiss"].startswith("faiss-")


@pytest.mark.skipif(hasattr(faiss, "StandardGpuResources"), reason="faiss-gpu is installed")
def test_a_faiss_without_a_gpu_side_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert resolve_index_device("cpu") == resolve_index_device("auto") == "cpu"
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    said = r"--index-device cuda: faiss .* \(CPU\) does not support GPUs; install faiss-gpu"
    with pytest.raises(InputError, match=said):
        resolve_index_device("cuda")


def _follows(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add and remove at random, and compare each search with that of all that is there."""
    monkeypatch.setattr(decoded_index, "MAX_REMOVED", 20)
    rng = np.random.default_rng(0)
    index = DecodedIndex(8, device)
    there: dict[int, NDArray[np.float32]] = {}
    for turn in range(40):
        keys = np.arange(turn * 10, turn * 10 + 10, dtype=np.int64)
        latents = rng.integers(-9, 9, (10, 8)).astype(np.float32)
        index.add(keys, latents)
        there |= zip(keys.tolist(), latents, strict=True)
        gone = rng.choice([*there, -1, 10_000], 3, replace=False)
        index.remove(gone)
        there = {key: row for key, row in there.items() if key not in gone}
        assert len(index) == len(there)
        queries = rng.integers(-9, 9, (3, 8)).astype(np.float32)
        found = index.search(queries, 12)
        assert found is not None
        lengths = np.square(queries[:, None] - np.stack(list(there.values()))).sum(2)
        most = min(12, len(there))
        assert np.array_equal(found[1][:, :most], np.sort(lengths, axis=1)[:, :most])
        for query, near, distances in zip(queries, *found, strict=True):
            assert len(set(near[:most].tolist())) == most
            assert (near[most:] == -1).all()
            for key, distance in zip(near[:most].tolist(), distances, strict=False):
                assert np.square(there[key] - query).sum() == distance
    assert index.search(queries, 3000) is None


def test_decoded_latents_follow_what_is_added_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers, so that distances are exact; FAISS's flat index on the CPU."""
    _follows("cpu", monkeypatch)


def test_an_index_that_decodes_finds_what_one_over_codes_finds(
    pipeline: Pipeline, vectors: NDArray[np.float32]
) -> None:
    codes, queries = pipeline.tokenize(vectors).codes, pipeline.latents(vectors)
    over_codes, decoding = (ResidualIndex(pipeline.codebooks) for _ in range(2))
    decoding._decoded = DecodedIndex(queries.shape[1], "cpu")  # as for a GPU
    for index in (over_codes, decoding):
        index.add(np.arange(300, dtype=np.int64) * 3, codes[:300])
        index.remove(np.arange(0, 300, 2, dtype=np.int64))
        index.add(np.arange(300, 600, dtype=np.int64) * 3, codes[300:])
    assert len(decoding) == len(decoding._decoded) == len(over_codes)
    for k in (10, 5000):
        (keys, ours), (others, theirs) = (i.search(queries, k) for i in (over_codes, decoding))
        there = keys >= 0
        assert np.array_equal(there, others >= 0)
        slack = 1e-5 * float(np.square(queries).sum(1).max())  # ‖q‖² + ‖c‖² − 2 q·c in float32
        assert np.allclose(ours[there], theirs[there], atol=slack)


@needs_faiss_gpu
def test_they_do_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    _follows("cuda", monkeypatch)


@needs_faiss_gpu
def test_a_gpu_finds_what_the_cpu_finds(pipeline: Pipeline, vectors: NDArray[np.float32]) -> None:
    codes = pipeline.tokenize(vectors).codes
    both = [SemanticIndex(pipeline.codebooks, device) for device in ("cpu", "cuda")]
    for index in both:
        index.add(np.arange(len(codes), dtype=np.int64), codes)
        index.remove(np.arange(5, dtype=np.int64))
    (_, ours), (_, theirs) = (index.search(pipeline.latents(vectors), 10) for index in both)
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@needs_a_gpu
def test_codes_on_a_gpu_do_not_depend_on_the_batch(
    tokenizer_folder: Path, vectors: NDArray[np.float32]
) -> None:
    there = Pipeline.load(tokenizer_folder, "cuda")
    whole = there.tokenize(vectors)
    for size in (1, 7, 100):
        parts = [there.tokenize(vectors[row : row + size]) for row in range(0, 100, size)]
        for name in ("codes", "distortion", "latents"):
            joined = np.concatenate([getattr(part, name) for part in parts])[:100]
            assert joined.tobytes() == getattr(whole, name)[:100].tobytes()
    here = Pipeline.load(tokenizer_folder).tokenize(vectors)
    assert (here.codes == whole.codes).all(1).mean() > 0.99


@needs_a_gpu
def test_a_tokenizer_is_trained_on_a_gpu(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    made = (vectors, SMALL, TextTemplate(), None, "d")
    first, second = (fit(tmp_path / name, *made, device="cuda") for name in ("a", "b"))
    assert first.fingerprint == second.fingerprint
    assert first.model.mean.device.type == "cpu"
    assert first.metrics["trained_on"]["device"] == "cuda"
    assert first.metrics["trained_on"]["gpu"] == torch.cuda.get_device_name("cuda")
    assert Pipeline.load(tmp_path / "a").tokenize(vectors).codes.shape == (len(vectors), 3)
