"""semid from Python: tokenizers, recommenders, and the client of the service.

    tokenizer = semid.Tokenizer(levels=4).fit(semid.read_items("products.csv"))

Tables go in as polars or pandas DataFrames or as lists of dicts, and come out as polars DataFrames.
Estimators follow scikit-learn's conventions: parameters are keywords and stay as given, `fit`
returns the estimator, attributes of a fit end in an underscore, and methods that need a fit raise
`sklearn.exceptions.NotFittedError` before one.

Importing semid loads only NumPy. The client needs the base installation, all else an extra.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_prep.errors import InputError, naming_extras
from tokenizer.config import FitConfig

if TYPE_CHECKING:
    import polars as pl

    from data_prep.readers.frames import Table
    from recsys.recommender import FrozenRecommender
    from service.client import AsyncSemid as AsyncClient
    from service.client import Semid as Client
    from service.client import SemidError
    from tokenizer.artifact import TokenizerArtifact
    from tokenizer.pipeline import Pipeline

__all__ = [
    "AsyncClient",
    "Client",
    "InputError",
    "Recommender",
    "SemidError",
    "Tokenizer",
    "read_items",
]

_FIT = FitConfig()
_NAMED = ("quantizer", "levels", "codebook_size", "steps", "seed")  # other fields are options


def __getattr__(name: str) -> Any:
    lazy = {"Client": "Semid", "AsyncClient": "AsyncSemid", "SemidError": "SemidError"}
    if name not in lazy:
        raise AttributeError(f"module 'semid' has no attribute {name!r}")
    import service.client

    return getattr(service.client, lazy[name])


@naming_extras()
def read_items(
    path: str | Path, columns: Mapping[str, str] | None = None, category_separator: str = ">"
) -> "pl.DataFrame":
    """Read and check a catalogue: parquet, CSV or JSON lines, the last two also gzipped.

    Args:
        columns: column name in the Items schema → name in the file, where the two differ.
        category_separator: splits `categories` if a row has them as one text.

    Raises:
        InputError: the file cannot be read; an `item_id` is missing, empty or occurs twice.
    """
    from data_prep.readers.catalogue import read_items

    return read_items(Path(path), columns, category_separator)


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
        encoder: `minilm`, `hashing` or a sentence-transformers model; None for minilm.
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

        write(check_new(Path(folder), overwrite=overwrite), _fitted(self, "_frozen"))

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
    ) -> "pl.DataFrame":
        """Find the items of a table of IDs nearest to an item, a text or a vector (D,).

        Args:
            ids: a table that `tokenize` returned.
            item_id: an item of the table; it is left out of the result.

        Returns:
            Up to k rows, nearest first: `item_id`, `semantic_id`, and `distance`, the squared
                distance between latents.

        Raises:
            InputError: not exactly one of item_id, text and vector is given, or it cannot be used.
        """
        from data_prep.readers.frames import as_matrix
        from tokenizer.offline.nearest import similar_items

        own = None if vector is None else as_matrix(np.asarray(vector)[None], "vector")[0]
        return similar_items(
            self._ids(ids), self._pipeline, item_id=item_id, text=text, vector=own, k=k
        )

    def inspect(self) -> dict[str, Any]:
        """Return fingerprint, config and metrics, as `semid inspect --json` prints them."""
        frozen: TokenizerArtifact = _fitted(self, "_frozen")
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
        opened: Pipeline = _fitted(self, "_opened")
        return opened

    def _ids(self, ids: "Table") -> "pl.DataFrame":
        from data_prep.readers.frames import as_polars
        from tokenizer.offline.id_table import check_ids

        return check_ids(as_polars(ids, "ids"), "ids", self._pipeline)


@dataclass(kw_only=True, eq=False)
class Recommender:
    """Histories of item ids → the items that may come next.

    Attributes:
        model: `sasrec`, `tiger` or a dual encoder; the error on a wrong name lists all.
        preset: size of model and training: `smoke`, `quick` or `paper`.
        seed: seed of every random choice.
        device: the device that trains, as in `Tokenizer`.
        options: fields of the training, as `semid train --set` takes them.
        fingerprint_: SHA-256 of the trained recommender.
        metrics_: figures measured at the end of the training.
    """

    model: str = "dual-encoder-prefixes"
    preset: str = "quick"
    seed: int = 0
    device: str = "cpu"
    options: Mapping[str, object] = field(default_factory=dict)

    @naming_extras()
    def fit(
        self,
        interactions: "Table",
        ids: "Table | None" = None,
        *,
        tokenizer: Tokenizer | None = None,
        items: "Table | None" = None,
        vectors: "Table | None" = None,
    ) -> Self:
        """Train on users' histories; a user's last item is for the test, the one before validates.

        Args:
            interactions: `user_id`, `item_id`, `timestamp`; or sequences: `user_id`, `history`,
                `validation`, `test`.
            ids: the items' IDs, from `Tokenizer.tokenize`, for models that read IDs.
            tokenizer: the tokenizer of the IDs; rows of codes then start from its codewords.
            items: the catalogue, with `item_id`; None for the items of `ids` or `interactions`.
            vectors: a table of `item_id` and `vector`, for models that read content.

        Raises:
            InputError: a parameter or a table cannot be used.
        """
        from data_prep.embedding.devices import resolve_device
        from data_prep.readers.frames import as_polars
        from recsys.data.preparation import prepare_dataset
        from recsys.fit import configured, fit

        chosen = configured(self.model, self.preset, self.seed, self.options)
        codebooks = None if tokenizer is None else tokenizer.codebooks_
        data = prepare_dataset(
            as_polars(interactions, "interactions"),
            None if items is None else as_polars(items, "items"),
            None if ids is None else as_polars(ids, "ids"),
            None if vectors is None else as_polars(vectors, "vectors"),
            codebooks,
            0 if codebooks is None else codebooks.shape[1],
        )
        done = fit(self.model, chosen, data, resolve_device(self.device))
        assert done is not None, "torchrun is for semid train"
        return self._take(done[0])

    @classmethod
    @naming_extras()
    def load(cls, folder: str | Path) -> Self:
        """Read a recommender that `save` or `semid train` wrote.

        Raises:
            InputError: a file is missing, damaged, or of another format.
        """
        from recsys.recommender import FrozenRecommender

        frozen = FrozenRecommender.read(Path(folder))
        made = cls(model=frozen.metrics.get("model", cls.model))
        return made._take(frozen)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the recommender as `semid train` does; the folder appears whole or not at all.

        Raises:
            InputError: the folder cannot be written, or exists and `overwrite` is False.
        """
        from data_prep.storage.files import check_new

        _fitted(self, "_frozen").write(check_new(Path(folder), overwrite=overwrite))

    def recommend(
        self, histories: Iterable[Sequence[str]], k: int = 10, *, exclude_seen: bool = True
    ) -> "pl.DataFrame":
        """Rank the items that may come next.

        Args:
            histories: item ids, oldest first; items that the model does not know are ignored.
            exclude_seen: whether an item of the history is left out.

        Returns:
            `history`, its number from 0; `rank`, from 1; `item_id`; `score`.

        Raises:
            InputError: a history has no item that the model knows, or k exceeds the catalogue.
        """
        from recsys.tables import recommended

        opened = _fitted(self, "_opened")
        return recommended(opened, list(histories), k, exclude_seen=exclude_seen)

    def evaluate(self, interactions: "Table") -> "pl.DataFrame":
        """Rank every user's test item among all items, and among those outside the history.

        Args:
            interactions: as in `fit`.

        Returns:
            One row a metric: `metric`, `all` and `without_history`.

        Raises:
            InputError: the recommender was not trained on an item.
        """
        from data_prep.readers.frames import as_polars
        from recsys.tables import evaluated

        return evaluated(_fitted(self, "_frozen"), as_polars(interactions, "interactions"))

    def _take(self, frozen: "FrozenRecommender") -> Self:
        from recsys.recommender import Recommender as Opened

        self._frozen, self._opened = frozen, Opened.of(frozen)
        self.fingerprint_, self.metrics_ = frozen.fingerprint, frozen.metrics
        return self


def _items(items: "Table", pipeline: "Pipeline | None" = None) -> "pl.DataFrame":
    from data_prep.readers.frames import as_items

    return as_items(items, None if pipeline is None else pipeline.config.mapping)


def _fitted(estimator: "Tokenizer | Recommender", part: str) -> Any:
    if not hasattr(estimator, part):
        from sklearn.exceptions import NotFittedError

        raise NotFittedError(f"{type(estimator).__name__} is not fitted; call fit, or use load")
    return getattr(estimator, part)
