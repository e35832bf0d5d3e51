"""An encoder of any language without a download: hashed character n-grams and an SVD of them.

Latent semantic analysis (Deerwester et al. 1990) of the catalogue's own texts: n-grams are weighted
by log(1 + count) and inverse document frequency, and a truncated SVD (Halko et al. 2011) of them
gives the vectors. The weights are frozen with the tokenizer.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError

__all__ = ["NgramEncoder"]

FEATURES = 2**14
LONGEST = 4  # characters of an n-gram, which stays within a word
DIMENSION = 128
MOST_TEXTS = 20_000  # of which the SVD is made
UNSEEN = 1e-3  # size of the weights of n-grams that the catalogue does not have
VERSION = 1


class NgramEncoder:
    """Hashes the n-grams of a text's words and projects their weights.

    A text's vector is a sum over the text's own n-grams in their order, so it has the same bits in
    any batch.

    Attributes:
        weights: `idf` (features,) and `projection` (features, dimension), float32.
    """

    name = "ngrams"
    arithmetic = "numpy"

    def __init__(self, weights: dict[str, NDArray[np.float32]]) -> None:
        """Make the encoder of weights that `fit` found.

        Raises:
            InputError: they are none.
        """
        from sklearn.feature_extraction.text import HashingVectorizer

        if set(weights) != {"idf", "projection"} or weights["projection"].ndim != 2:
            raise InputError("the weights are not those of an encoder of n-grams; fit again")
        self.weights = weights
        self.dimension = weights["projection"].shape[1]
        self._counts = HashingVectorizer(
            analyzer="char_wb", ngram_range=(1, LONGEST), n_features=len(weights["idf"]),
            norm=None, alternate_sign=False, dtype=np.float32,
        )  # fmt: skip
        digest = hashlib.sha256(f"{VERSION}".encode())
        for name in sorted(weights):
            digest.update(np.ascontiguousarray(weights[name]).tobytes())
        self.revision = digest.hexdigest()

    @classmethod
    def fit(cls, texts: Sequence[str], dimension: int = DIMENSION) -> "NgramEncoder":
        """Find the weights of a catalogue's texts; the same texts give the same weights.

        Args:
            texts: (n,), of which at most `MOST_TEXTS`, drawn by a seed, are used.
            dimension: largest length of the vectors; few or short texts have fewer.

        Raises:
            InputError: the texts have fewer than two different n-grams.
        """
        from sklearn.utils.extmath import randomized_svd

        different = list(dict.fromkeys(texts))
        if len(different) > MOST_TEXTS:
            drawn = np.random.default_rng(0).choice(len(different), MOST_TEXTS, replace=False)
            different = [different[row] for row in np.sort(drawn)]
        plain = cls({
            "idf": np.ones(FEATURES, dtype=np.float32),
            "projection": np.zeros((FEATURES, 1), dtype=np.float32),
        })  # fmt: skip
        counts = plain._counts.transform(different)
        seen = np.bincount(counts.indices, minlength=FEATURES)
        plain.weights["idf"] = np.log((1 + len(different)) / (1 + seen)).astype(np.float32) + 1
        weighted = plain._weighted(different)
        most = min(dimension, len(different) - 1, int((seen > 0).sum()) - 1)
        if most < 1:
            raise InputError(
                "the texts are too few or too alike for the encoder ngrams; it needs at least two "
                "different ones"
            )
        _, values, rows = randomized_svd(weighted, most, n_iter=2, random_state=0)
        kept = values > values[0] * 1e-4
        projection = rows[kept].T
        # Texts of n-grams that the catalogue does not have need a vector too: a small random one.
        unseen = np.flatnonzero(seen == 0)
        noise = np.random.default_rng(0).standard_normal((len(unseen), projection.shape[1]))
        projection[unseen] = UNSEEN * noise
        return cls({
            "idf": plain.weights["idf"],
            "projection": np.ascontiguousarray(projection, dtype=np.float32),
        })  # fmt: skip

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [1] * len(texts)

    def encode(self, texts: Sequence[str], length: int) -> NDArray[np.float32]:
        del length
        vectors = np.asarray(self._weighted(texts) @ self.weights["projection"], dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
        return scaled

    def _weighted(self, texts: Sequence[str]) -> Any:
        """Return the weights of the texts' n-grams, (n, features) in rows of length 1."""
        counts = self._counts.transform(texts)
        counts.sort_indices()
        counts.data = np.log1p(counts.data) * self.weights["idf"][counts.indices]
        squares = counts.multiply(counts).sum(axis=1)
        norms = np.sqrt(np.asarray(squares, dtype=np.float32).ravel())
        counts.data /= np.repeat(
            np.maximum(norms, np.finfo(np.float32).tiny), np.diff(counts.indptr)
        )
        return counts
