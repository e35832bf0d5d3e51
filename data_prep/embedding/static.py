"""A static encoder, distilled from a sentence-transformers model: a table of token vectors.

Each token of the model's vocabulary goes through the model alone; the token vectors are reduced to
their principal components, and a text's vector is the mean of its tokens', weighted by how rare
each is in the catalogue (smooth inverse frequency: Arora, Liang, Ma 2017; the distillation is that
of Model2Vec). A text costs a split into tokens and a sum instead of a Transformer's pass.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from tokenizers import Tokenizer

from data_prep.embedding.encoder_folder import FORMAT, Arrays, read_encoder, write_encoder
from data_prep.errors import InputError

__all__ = ["KIND", "StaticEncoder", "distil"]

KIND = "static"
RARE = 1e-3  # a of the weight a / (a + p) of a token with frequency p
AT_ONCE = 4096  # texts split at once
LONGEST = 8192  # characters of a text that are read


class StaticEncoder:
    """Texts → vectors of length 1 by a table of token vectors; an `Encoder`.

    A text's vector does not depend on its batch: each row of the sparse product is computed alone.

    Attributes:
        name: the folder that it was loaded from.
        revision: SHA-256 of tokenizer and table.
        teacher: name and revision of the model that it was distilled from.
        texts: how many texts gave the frequencies.
    """

    arithmetic = "numpy"

    def __init__(
        self, tokenizer: str, table: NDArray[np.float32], teacher: str, texts: int, name: str = ""
    ) -> None:
        """Use distilled weights.

        Args:
            tokenizer: of the model, as JSON of the library tokenizers.
            table: (tokens, dimension), each row times its weight.
        """
        self.name, self.teacher, self.texts = name, teacher, texts
        self.dimension = table.shape[1]
        self._table, self._json = np.ascontiguousarray(table, np.float32), tokenizer
        self._tokenizer = split_tokens(tokenizer)
        digest = hashlib.sha256(json.dumps([FORMAT, KIND, tokenizer]).encode())
        digest.update(self._table.tobytes())
        self.revision = digest.hexdigest()

    @classmethod
    def load(cls, folder: Path) -> "StaticEncoder":
        """Read what `write` wrote.

        Raises:
            InputError: a file is missing, damaged, of another format, or has changed.
        """

        def distilled(body: dict[str, Any], weights: Arrays, tokens: str) -> StaticEncoder:
            json.loads(tokens)  # the library's own error for damaged JSON has no type
            return cls(tokens, weights["table"], body["teacher"], body["texts"], str(folder))

        return read_encoder(folder, distilled)

    def write(self, folder: Path) -> None:
        """Write the encoder; the folder appears whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        body = {
            "format": FORMAT,
            "kind": KIND,
            "revision": self.revision,
            "teacher": self.teacher,
            "texts": self.texts,
        }
        write_encoder(folder, body, {"table": self._table}, self._json)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return 1 for each text: any texts may be encoded together."""
        return [1] * len(texts)

    def encode(self, texts: Sequence[str], length: int) -> NDArray[np.float32]:
        """Return (n, dimension) float32; a text without a token has a vector of zeros."""
        del length
        vectors = np.asarray(_counts(self._tokenizer, texts, len(self._table)) @ self._table)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
        return scaled


def distil(
    vectors: NDArray[np.float32],
    tokenizer: str,
    texts: Iterable[str],
    dimension: int,
    teacher: str,
) -> StaticEncoder:
    """Make a static encoder of a model's token vectors and a catalogue's texts.

    Args:
        vectors: (tokens, D), what the model gives for each token of its vocabulary alone.
        tokenizer: the model's, as JSON of the library tokenizers.
        texts: give the frequencies of tokens; read once.
        dimension: length of the vectors, at most D.

    Raises:
        InputError: no text has a token, or the dimension is beyond the model's.
    """
    if not 2 <= dimension <= vectors.shape[1]:
        raise InputError(f"dimension {dimension}; the model allows 2 to {vectors.shape[1]}")
    split, seen, total = split_tokens(tokenizer), np.zeros(len(vectors)), 0
    left = iter(texts)
    while batch := list(islice(left, AT_ONCE)):
        seen += np.asarray(_counts(split, batch, len(vectors)).sum(axis=0)).ravel()
        total += len(batch)
    if not seen.any():
        raise InputError("no text has a token of the model; give texts in a language that it reads")
    share = (seen + 1) / (seen + 1).sum()
    centred = vectors.astype(np.float64) - share @ vectors
    _, axes = np.linalg.eigh((centred * share[:, None]).T @ centred)
    kept = centred @ axes[:, ::-1][:, :dimension]
    table = kept * (RARE / (RARE + share))[:, None]
    return StaticEncoder(tokenizer, table.astype(np.float32), teacher, total)


def split_tokens(tokenizer: str) -> Tokenizer:
    """Return a tokenizer that neither pads nor cuts."""
    split: Tokenizer = Tokenizer.from_str(tokenizer)
    split.no_padding()
    split.no_truncation()
    return split


def _counts(split: Any, texts: Sequence[str], tokens: int) -> Any:
    """Return how often each text has each token, a sparse matrix (n, tokens)."""
    short = [text[:LONGEST] for text in texts]
    found = [one.ids for one in split.encode_batch_fast(short, add_special_tokens=False)]
    ends = np.cumsum([0, *map(len, found)])
    ids = np.fromiter((each for ids in found for each in ids), np.int64, ends[-1])
    ones = np.ones(len(ids), np.float32)
    counts = sparse.csr_matrix((ones, ids, ends), shape=(len(texts), tokens))
    counts.sum_duplicates()
    return counts
