"""Item → text → vector → codes: the same steps offline and over HTTP."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data_prep.embedding.devices import full_precision
from data_prep.embedding.embed import EmbeddingCache, embed
from data_prep.embedding.encoders import Encoder, load_encoder
from data_prep.errors import InputError
from data_prep.progress import Progress
from tokenizer import artifact
from tokenizer.ids.policy import TakenCodes, assign_free
from tokenizer.ids.semantic_id import Codes
from tokenizer.model.vector_checks import refuse_faults, vector_faults

__all__ = ["Pipeline", "Tokenized"]


@dataclass(frozen=True)
class Tokenized:
    """Codes (n, L) uint16, and in float32 distortion (n,), latents (n, d) and vectors (n, D).

    An item's distortion is ‖x − x̂‖² divided by the mean of ‖x − mean‖² over the training items.
    Its mean over items is the relative reconstruction error.
    """

    codes: Codes
    distortion: NDArray[np.float32]
    latents: NDArray[np.float32]
    vectors: NDArray[np.float32]

    def take(self, rows: Sequence[int]) -> "Tokenized":
        """Return some rows."""
        some = np.asarray(rows, dtype=np.intp)
        return Tokenized(
            self.codes[some], self.distortion[some], self.latents[some], self.vectors[some]
        )


class Pipeline:
    """A frozen tokenizer with its text encoder.

    Attributes:
        config, fingerprint, metrics, name: as in the tokenizer's artifact.
        codebooks: (L, K, d) float32.
        device: where texts are encoded and vectors tokenized.
    """

    def __init__(self, tokenizer: artifact.TokenizerArtifact, device: str = "cpu") -> None:
        """Load the encoder that the tokenizer names, and move the tokenizer to `device`.

        Args:
            device: `cpu`, `cuda` or `cuda:1`, as
                `data_prep.embedding.devices.resolve_device` returns it.

        Raises:
            InputError: the encoder is not installed, or its weights differ from those in training.
        """
        self.config = tokenizer.config
        self.fingerprint = tokenizer.fingerprint
        self.metrics = tokenizer.metrics
        self.name = tokenizer.name
        full_precision()
        self.codebooks: NDArray[np.float32] = tokenizer.model.quantizer.codebooks().cpu().numpy()
        self.device = device
        self._model = tokenizer.model.to(device)
        self._mean: NDArray[np.float32] = tokenizer.model.mean.cpu().numpy()
        self._scale = float(tokenizer.model.scale)
        self._encoder: Encoder | None = None
        if (reference := tokenizer.config.encoder) is not None:
            self._encoder = load_encoder(
                reference.name, device, tokenizer.encoder_weights, reference.settings
            )
            if self._encoder.revision != reference.revision:
                raise InputError(
                    f"encoder {reference.name!r} here has revision {self._encoder.revision}, but "
                    f"the tokenizer was fitted with {reference.revision}; install that one, or "
                    f"fit again"
                )

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "Pipeline":
        """Read the tokenizer in `folder` and its encoder.

        Raises:
            InputError: as `tokenizer.artifact.load`, or the encoder does not fit.
        """
        return cls(artifact.load(folder), device)

    @property
    def encoder(self) -> Encoder | None:
        """The text encoder; None for a tokenizer that was fitted on vectors."""
        return self._encoder

    @property
    def levels(self) -> int:
        """L, the number of codes an item has."""
        return self.config.quantizer.levels

    @property
    def codebook_size(self) -> int:
        """K, the number of codewords a level has."""
        return self.config.quantizer.codebook_size

    def texts(self, items: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return each item's content text.

        Raises:
            InputError: an item has none.
        """
        return self.config.text.render_all(items)

    def embed(
        self,
        texts: Sequence[str],
        cache: EmbeddingCache | None = None,
        progress: Progress | None = None,
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Return vectors (n, D) of content texts, as `data_prep.embedding.embed.embed` does.

        Raises:
            InputError: the tokenizer was fitted on vectors and has no encoder.
        """
        if self._encoder is None:
            raise InputError(
                "this tokenizer was fitted on vectors and has no text encoder; give vectors"
            )
        return embed(texts, self._encoder, cache, progress, threads)

    def texts_of_some(self, items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Return the content texts of those items that have a valid one, by item_id."""
        texts: dict[str, str] = {}
        for item in items:
            try:
                text = self.config.text.content(item)
            except ValueError:
                continue
            if text:
                texts[item["item_id"]] = text
        return texts

    def cached(self, texts: Sequence[str], cache: EmbeddingCache) -> dict[str, NDArray[np.float32]]:
        """Return the vectors (D,) of those texts whose vectors the cache has, by text."""
        return {} if self._encoder is None else cache.get(self._encoder, texts)

    def tokenize(self, vectors: NDArray[np.float32], *, checked: bool = False) -> Tokenized:
        """Return codes, distortion and latents of vectors (n, D); batches do not change them.

        Args:
            checked: True if `check` or `faults` has already passed these vectors.

        Raises:
            InputError: as `check`.
        """
        if not checked:
            self.check(vectors)
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        latents = self._model.latents(torch.tensor(vectors, device=self.device))
        codes = self._model.encode_latents(latents).cpu().numpy().astype(np.uint16)
        return Tokenized(codes, self.distortion(vectors, codes), latents.cpu().numpy(), vectors)

    def reassign(self, tokenized: Tokenized, taken: TakenCodes) -> Tokenized:
        """Give each row unique codes (`tokenizer.ids.policy.assign_free`) and their distortion.

        Raises:
            InputError: no codes are free.
        """
        codes = assign_free(tokenized.codes, tokenized.latents, self.codebooks, taken)
        changed = (codes != tokenized.codes).any(axis=1)
        distortion = tokenized.distortion.copy()
        distortion[changed] = self.distortion(tokenized.vectors[changed], codes[changed])
        return replace(tokenized, codes=codes, distortion=distortion)

    def latents(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the latents (n, d) of vectors (n, D), which a `SemanticIndex` takes as queries.

        Raises:
            InputError: as `tokenize`.
        """
        self.check(vectors)
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        latents = self._model.latents(torch.tensor(vectors, device=self.device))
        return np.asarray(latents.cpu().numpy())

    def latents_of_codes(self, codes: Codes) -> NDArray[np.float32]:
        """Return the decoded latents (n, d) of codes (n, L)."""
        return np.asarray(self.codebooks[np.arange(self.levels), codes.astype(np.int64)].sum(1))

    def vectors_of_codes(self, codes: Codes) -> NDArray[np.float32]:
        """Return the decoded vectors (n, D) of codes (n, L)."""
        given = torch.tensor(codes, dtype=torch.long, device=self.device)
        decoded: NDArray[np.float32] = self._model.decode(given).cpu().numpy()
        return decoded

    def decode(self, codes: NDArray[np.integer]) -> NDArray[np.float32]:
        """Check codes (n, L), and return their decoded vectors (n, D).

        Raises:
            InputError: a row does not have L codes, or a code is not in 0…K−1.
        """
        sizes = f"{self.levels} codes a row, each from 0 to {self.codebook_size - 1}"
        if codes.ndim != 2 or codes.shape[1] != self.levels:
            raise InputError(f"codes of shape {codes.shape}; this tokenizer has {sizes}")
        if codes.dtype.kind not in "iu" or ((codes < 0) | (codes >= self.codebook_size)).any():
            raise InputError(f"codes hold a value that is not a code; this tokenizer has {sizes}")
        return self.vectors_of_codes(codes.astype(np.uint16))

    def distortion(self, vectors: NDArray[np.float32], codes: Codes) -> NDArray[np.float32]:
        """Return the distortion (n,) of vectors (n, D) that have these codes (n, L)."""
        decoded = self.vectors_of_codes(codes)
        # NumPy sums a row the same way in any batch. torch's sum of a long row depends on threads.
        lost = np.square(vectors - decoded).sum(axis=1)
        mean_square = float(self._model.scale.square()) * self.config.dimension
        return np.asarray(lost / mean_square, dtype=np.float32)

    def any_vector(self) -> NDArray[np.float32]:
        """Return a vector (D,) that can be tokenized, as a probe for health checks."""
        vector = self._mean + np.float32(self._scale)
        return vector if vector.any() else self._mean

    def check(self, vectors: NDArray[np.float32], names: Sequence[str] | None = None) -> None:
        """Check that vectors (n, D) can be tokenized.

        Args:
            names: item names for the message; without them it counts rows from 1.

        Raises:
            InputError: a vector has another length, is not finite, is all zero, or is so far from
                the training items that the network overflows.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.config.dimension:
            raise InputError(
                f"vectors have length {vectors.shape[-1]}; this tokenizer takes "
                f"{self.config.dimension}"
            )
        refuse_faults(self.faults(vectors), names)

    def faults(self, vectors: NDArray[np.float32]) -> dict[int, str]:
        """Return the faults that keep vectors (n, D) from being tokenized, by row number."""
        return vector_faults(vectors, self._mean, self._scale)
