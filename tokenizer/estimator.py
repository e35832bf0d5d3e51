"""`semid.Tokenizer`: item content → frozen semantic IDs, as a scikit-learn estimator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_prep.errors import naming_extras
from tokenizer.config import FitConfig

if TYPE_CHECKING:
    import polars as pl

    from data_prep.readers.frames import Table
    from tokenizer.artifact import TokenizerArtifact
    from tokenizer.pipeline import Pipeline

__all__ = ["Tokenizer", "fitted"]

_FIT = FitConfig()
_NAMED = ("quantizer", "levels", "codebook_size", "steps", "seed")  # other fields are options


@dataclass(kw_only=True, eq=False)
class Tokenizer:
    """Item content → frozen semantic IDs.

    Attributes:
        quantizer: the variant, such as `grit` or `kmeans`; the error on a wrong name lists all.
        levels: L, the number of codes an item has.
        codebook_size: K, the number of codewords a level has.
        steps: largest number of gradient steps.
        seed: seed of every random choice.
        policy: how items with the same codes are told apart: `suffix` numbers them, `reassign`
            gives the later ones the nearest free codes.
        encoder: `minilm`, `ngrams`, `words`, `hashing` or a sentence-transformers model; None for
            minilm.
        text_fields: the fields that make an item's text, in order; None for title, brand,
            categories, description.
        options: any further field of the configuration, as `semid fit --set` takes it.
        cache: folder that keeps the vectors of texts; None for $SEMID_CACHE or ~/.cache/semid.
        device: the device that computes: `cpu`, `cuda`, `cuda:1`, or `auto`.
        fingerprint_: SHA-256 of the fitted tokenizer.
        metrics_: figures measured at the end of the fit.
        codebooks_: (L, K, d) float32.
    """

    quantizer: str = _FIT.quantizer.name
    levels: int = _FIT.quantizer.levels
    codebook_size: int = _FIT.quantizer.codebook_size
    steps: int = _FIT.steps
    seed: int = _FIT.seed
    policy: Literal["suffix", "reassign"] = "suffix"
    encoder: str | None = None
    text_fields: Sequence[str] | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    cache: str | Path | None = None
    device: str = "cpu"

    @naming_extras()
    def fit(self, items: "Table | NDArray[np.floating]") -> Self:
        """Train on a catalogue, or on vectors of your own.

        Args:
            items: a table with `item_id` and the fields of the text, or with a column `vector`,
                which takes precedence over the text; or an array of vectors (N, D).

        Raises:
            InputError: a parameter or an item cannot be used.
        """
        from data_prep.embedding.devices import resolve_device
        from data_prep.readers.frames import as_matrix
        from tokenizer.options import configured
        from tokenizer.training.fit_items import fit_items, fit_vectors

        training = configured({name: getattr(self, name) for name in _NAMED}, self.options)
        policy, device = self.policy, resolve_device(self.device)
        if isinstance(items, np.ndarray):
            return self._take(fit_vectors(as_matrix(items, "vectors"), training, policy, device))
        cache = None if self.cache is None else Path(self.cache)
        given = _items(items), training, self.text_fields, self.encoder, policy, cache, device
        return self._take(fit_items(*given))

    @classmethod
    @naming_extras()
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Self:
        """Read a tokenizer that `save` or `semid fit` wrote.

        Raises:
            InputError: a file is missing, damaged, or of another format.
        """
        from tokenizer.artifact import load
        from tokenizer.options import changed_options

        frozen = load(Path(folder))
        config, options = frozen.config, changed_options(frozen.config.training)
        made = cls(
            **{name: options.pop(name) for name in _NAMED if name in options},
            policy=config.policy,
            encoder=None if config.encoder is None else config.encoder.name,
            text_fields=config.text.fields,
            options=options,
            device=device,
        )
        return made._take(frozen)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the tokenizer as `semid fit` does; the folder appears whole or not at all.

        Raises:
            InputError: the folder cannot be written, or exists and `overwrite` is False.
        """
        from data_prep.storage.files import check_new
        from tokenizer.artifact import write

        write(check_new(Path(folder), overwrite=overwrite), fitted(self, "_frozen"))

    def tokenize(self, items: "Table", known: "Table | None" = None) -> "pl.DataFrame":
        """Give every item its semantic ID, as `semid tokenize` and the service do.

        Args:
            items: the Items table; a column `vector` takes precedence over the text.
            known: IDs that this tokenizer gave before; they do not change, and come first.

        Returns:
            `item_id`, `codes`, `suffix`, `semantic_id`, `distortion`, `tokenizer`.

        Raises:
            InputError: an item has no text or vector, or `known` is from another tokenizer.
        """
        from data_prep.embedding.embed import EmbeddingCache, default_cache_folder
        from tokenizer.offline.catalogue import tokenize_catalogue

        pipeline, given = self._pipeline, None if known is None else self._ids(known)
        with EmbeddingCache(Path(self.cache or default_cache_folder())) as cache:
            return tokenize_catalogue(_items(items, pipeline), pipeline, given, cache=cache)

    def encode(self, vectors: ArrayLike) -> NDArray[np.uint16]:
        """Return the codes (N, L) of vectors (N, D); raise InputError if one cannot be coded."""
        from data_prep.readers.frames import as_matrix

        return self._pipeline.tokenize(as_matrix(vectors, "vectors")).codes

    def decode(self, codes: ArrayLike) -> NDArray[np.float32]:
        """Return the decoded vectors (N, D) of codes (N, L); raise InputError for invalid codes."""
        return self._pipeline.decode(np.asarray(codes))

    def similar(
        self,
        ids: "Table",
        *,
        item_id: str | None = None,
        text: str | None = None,
        vector: ArrayLike | None = None,
        k: int = 10,
        items: "Table | None" = None,
    ) -> "pl.DataFrame":
        """Find the items of a table of IDs nearest to an item, a text or a vector (D,).

        Args:
            ids: a table that `tokenize` returned.
            item_id: an item of the table; it is left out of the result.
            items: the catalogue, whose texts or vectors rank exactly; None answers from codes.

        Returns:
            Up to k rows, nearest first: `item_id`, `semantic_id`; `cosine`; `exact`, whether the
                item's own vector gave it; and `distance`, squared, between latents.

        Raises:
            InputError: not exactly one of item_id, text and vector is given, or it cannot be used.
        """
        from data_prep.embedding.embed import EmbeddingCache, default_cache_folder
        from data_prep.readers.frames import as_matrix
        from tokenizer.offline.nearest import ItemVectors, similar_items

        asked = None if vector is None else as_matrix(np.asarray(vector)[None], "vector")[0]
        table, pipeline = self._ids(ids), self._pipeline
        with EmbeddingCache(Path(self.cache or default_cache_folder())) as cache:
            own = None if items is None else ItemVectors(_items(items), pipeline, cache)
            return similar_items(
                table, pipeline, item_id=item_id, text=text, vector=asked, k=k, own=own
            )

    def inspect(self) -> dict[str, Any]:
        """Return fingerprint, config and metrics, as `semid inspect --json` prints them."""
        frozen: TokenizerArtifact = fitted(self, "_frozen")
        return frozen.described()

    def _take(self, frozen: "TokenizerArtifact") -> Self:
        from data_prep.embedding.devices import resolve_device
        from tokenizer.pipeline import Pipeline

        self._frozen, self._opened = frozen, Pipeline(frozen, resolve_device(self.device))
        self.fingerprint_, self.metrics_ = frozen.fingerprint, frozen.metrics
        self.codebooks_ = self._opened.codebooks
        return self

    @property
    def _pipeline(self) -> "Pipeline":
        opened: Pipeline = fitted(self, "_opened")
        return opened

    def _ids(self, ids: "Table") -> "pl.DataFrame":
        from data_prep.readers.frames import as_polars
        from tokenizer.offline.id_table import check_ids

        return check_ids(as_polars(ids, "ids"), "ids", self._pipeline)


def _items(items: "Table", pipeline: "Pipeline | None" = None) -> "pl.DataFrame":
    from data_prep.readers.frames import as_items

    return as_items(items, None if pipeline is None else pipeline.config.mapping)


def fitted(estimator: object, part: str) -> Any:
    """Return an attribute that a fit sets.

    Raises:
        sklearn.exceptions.NotFittedError: the estimator is not fitted.
    """
    if not hasattr(estimator, part):
        from sklearn.exceptions import NotFittedError

        raise NotFittedError(f"{type(estimator).__name__} is not fitted; call fit, or use load")
    return getattr(estimator, part)
