"""An encoder that is fitted to a catalogue: hashed TF-IDF, then truncated SVD, and no download.

Latent semantic analysis (Deerwester et al. 1990): texts get similar vectors if their terms occur in
the same texts of the catalogue. The terms are words, which may be anonymised numbers that no
pretrained model can read; or character n-grams, which need no rule for where a word ends and so
serve every script.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from data_prep.embedding.encoder_folder import FORMAT, Arrays, read_encoder, write_encoder
from data_prep.errors import InputError
from data_prep.names import check_name

__all__ = [
    "LatentSemanticConfig",
    "LatentSemanticEncoder",
    "Terms",
]

KIND = "latent-semantic"
Terms = Literal["words", "characters"]
# The analyzer of scikit-learn, the pattern of a word, and the lengths of the n-grams.
ANALYZERS: dict[str, tuple[str, str | None, tuple[int, int]]] = {
    "words": ("word", r"(?u)\w+", (1, 1)),
    "characters": ("char_wb", None, (2, 4)),
}
AT_ONCE = 20_000  # texts counted at once
UNSEEN = 0.1  # length of the rows of terms that no fitted text has, against those of the others


@dataclass(frozen=True)
class LatentSemanticConfig:
    """How an encoder is fitted.

    Attributes:
        terms: `words`, split at everything but letters, digits and underscores; or `characters`,
            n-grams of 2 to 4 characters within words.
        dimension: length of the vectors.
        buckets: terms are hashed into so many; two terms in one bucket count as one.
        sample: the SVD is of so many texts at most, drawn at random; all texts count for the IDF.
        seed: of the draw and of the SVD.
    """

    terms: Terms = "words"
    dimension: int = 256
    buckets: int = 2**16
    sample: int = 200_000
    seed: int = 0

    def check(self) -> None:
        """Check the names and the bounds.

        Raises:
            InputError: names the field and what it can be.
        """
        check_name("terms", self.terms, ANALYZERS)
        for name, least in (("dimension", 2), ("buckets", 16), ("sample", 2)):
            if (given := getattr(self, name)) < least:
                raise InputError(f"{name} is {given}; give {least} or more")
        if self.dimension >= self.buckets:
            raise InputError(
                f"dimension {self.dimension} of {self.buckets} buckets; give more buckets"
            )


class LatentSemanticEncoder:
    """Texts → vectors of length 1, by a projection that `fit` found; an `Encoder`.

    A text's vector does not depend on its batch: each row of the sparse product is computed alone.

    Attributes:
        name: the folder that it was loaded from.
        revision: SHA-256 of configuration and weights.
        texts: how many texts it was fitted to.
    """

    arithmetic = "numpy"

    def __init__(
        self,
        config: LatentSemanticConfig,
        idf: NDArray[np.float32],
        projection: NDArray[np.float32],
        texts: int,
        name: str = "",
    ) -> None:
        """Use fitted weights.

        Args:
            idf: (buckets,) float32.
            projection: (buckets, dimension) float32.
        """
        self.config, self.texts, self.name = config, texts, name
        self.dimension = config.dimension
        self._idf, self._projection = idf, projection
        self._count = _counter(config)
        self.revision = _revision(self._body(), idf, projection)

    @classmethod
    def fit(
        cls, texts: Iterable[str], config: LatentSemanticConfig | None = None, name: str = ""
    ) -> Self:
        """Count the terms of all texts, and find the directions in which a sample varies most.

        Args:
            texts: read once, and not kept but for the sample.

        Raises:
            InputError: as `LatentSemanticConfig.check`; or fewer than two texts have a term.
        """
        from scipy import sparse
        from sklearn.utils.extmath import randomized_svd

        config = config or LatentSemanticConfig()
        config.check()
        count = _counter(config)
        frequency = np.zeros(config.buckets, dtype=np.int64)
        drawn = _Sample(config.sample, config.seed)
        total = 0
        for batch in _batches(texts):
            counts = count.transform(batch)
            frequency += np.bincount(counts.indices, minlength=config.buckets)
            total += len(batch)
            drawn.add(counts)
        idf = (np.log((1 + total) / (1 + frequency)) + 1).astype(np.float32)
        rows = sparse.vstack(drawn.rows, format="csr") if drawn.rows else np.empty((0, 0))
        width = min(config.dimension, rows.shape[0], int((frequency > 0).sum()))
        if width < 2:
            raise InputError("an encoder needs at least two texts with words; give more")
        _, _, directions = randomized_svd(
            _weighed(rows, idf), n_components=width, n_iter=4, random_state=config.seed
        )
        projection = np.zeros((config.buckets, config.dimension), dtype=np.float32)
        projection[:, :width] = directions.T
        _fill_unseen(projection, frequency == 0, config.seed)
        return cls(config, idf, projection, total, name)

    @classmethod
    def load(cls, folder: Path) -> "LatentSemanticEncoder":
        """Read what `write` wrote.

        Raises:
            InputError: a file is missing, damaged, of another format, or has changed.
        """

        def fitted(body: dict[str, Any], weights: Arrays, _: str) -> LatentSemanticEncoder:
            config = LatentSemanticConfig(**body["config"])
            config.check()
            return cls(config, weights["idf"], weights["projection"], body["texts"], str(folder))

        return read_encoder(folder, fitted)

    def write(self, folder: Path) -> None:
        """Write the encoder; the folder appears whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        write_encoder(folder, {"revision": self.revision, **self._body()}, self._weights())

    def packed(self) -> bytes:
        """Return configuration and weights as one file of safetensors, for `unpacked`."""
        return save(self._weights(), metadata={KIND: json.dumps(self._body())})

    @classmethod
    def unpacked(cls, packed: bytes, name: str) -> Self:
        """Make the encoder of what `packed` returned.

        Raises:
            InputError: the bytes are none of such an encoder.
        """
        try:
            weights, size = load(packed), int.from_bytes(packed[:8], "little")
            body = json.loads(json.loads(packed[8 : 8 + size])["__metadata__"][KIND])
            config = LatentSemanticConfig(**body["config"])
            return cls(config, weights["idf"], weights["projection"], body["texts"], name)
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise InputError(
                f"the weights of the encoder {name} are damaged: {error}; restore the tokenizer "
                f"from a copy"
            ) from error

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return 1 for each text: any texts may be encoded together."""
        return [1] * len(texts)

    def encode(self, texts: Sequence[str], length: int) -> NDArray[np.float32]:
        """Return (n, dimension) float32; a text without a term has a vector of zeros."""
        del length
        counts = _weighed(self._count.transform(texts), self._idf)
        vectors = np.asarray(counts @ self._projection, dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
        return scaled

    def _weights(self) -> dict[str, NDArray[np.float32]]:
        return {"idf": self._idf, "projection": self._projection}

    def _body(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "kind": KIND,
            "config": asdict(self.config),
            "texts": self.texts,
        }


class _Sample:
    """A uniform sample of the rows of a stream: the rows with the smallest of random keys."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.rows = size, list[Any]()
        self._draw = np.random.default_rng(seed)
        self._keys = np.empty(0)

    def add(self, counts: Any) -> None:
        """Take in the rows of a sparse matrix; rows without a term are left out."""
        from scipy import sparse

        counts = counts[np.diff(counts.indptr) > 0]
        keys = np.concatenate([self._keys, self._draw.random(counts.shape[0])])
        self.rows.append(counts)
        if len(keys) > 2 * self.size:
            kept = np.sort(np.argpartition(keys, self.size)[: self.size])
            self.rows, keys = [sparse.vstack(self.rows, format="csr")[kept]], keys[kept]
        self._keys = keys


def _counter(config: LatentSemanticConfig) -> Any:
    """Return scikit-learn's vectorizer that counts hashed terms."""
    from sklearn.feature_extraction.text import HashingVectorizer

    analyzer, pattern, lengths = ANALYZERS[config.terms]
    return HashingVectorizer(
        n_features=config.buckets,
        analyzer=analyzer,
        token_pattern=pattern,
        ngram_range=lengths,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )


def _weighed(counts: Any, idf: NDArray[np.float32]) -> Any:
    """Return (1 + ln tf) · idf with rows of length 1."""
    from sklearn.preprocessing import normalize

    weighed = counts.copy()
    weighed.data = (1 + np.log(counts.data)) * idf[counts.indices]
    return normalize(weighed, copy=False)


def _fill_unseen(projection: NDArray[np.float32], unseen: NDArray[np.bool_], seed: int) -> None:
    """Give terms that no text has short random rows, so that no text of such terms is zero."""
    length = np.linalg.norm(projection[~unseen], axis=1).mean() * UNSEEN
    draw = np.random.default_rng(seed + 1)
    rows = draw.standard_normal((int(unseen.sum()), projection.shape[1]), dtype=np.float32)
    projection[unseen] = rows * (length / projection.shape[1] ** 0.5)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    stream = iter(texts)
    while batch := list(itertools.islice(stream, AT_ONCE)):
        yield batch


def _revision(
    body: dict[str, Any], idf: NDArray[np.float32], projection: NDArray[np.float32]
) -> str:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode())
    for array in (idf, projection):
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
