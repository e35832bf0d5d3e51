"""`semid.Recommender`: histories → the next items, as a scikit-learn estimator."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from data_prep.errors import naming_extras
from tokenizer.estimator import fitted

if TYPE_CHECKING:
    import polars as pl

    from data_prep.readers.frames import Table
    from recsys.recommender import FrozenRecommender
    from tokenizer.estimator import Tokenizer

__all__ = ["Recommender"]


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

    model: str = "dual-encoder-prefixes-transitions"
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
        tokenizer: "Tokenizer | None" = None,
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

        fitted(self, "_frozen").write(check_new(Path(folder), overwrite=overwrite))

    def recommend(
        self,
        histories: Iterable[Sequence[str]],
        k: int = 10,
        *,
        exclude_seen: bool = True,
        candidates: Iterable[str] | None = None,
        prefix: Sequence[int] = (),
    ) -> "pl.DataFrame":
        """Rank the items that may come next.

        Args:
            histories: item ids, oldest first; items that the model does not know are ignored.
            exclude_seen: whether an item of the history is left out.
            candidates: the only items that may be recommended; unknown ones are ignored.
            prefix: the first codes of the items that may be recommended.

        Returns:
            `history`, its number from 0; `rank`, from 1; `item_id`; `score`.

        Raises:
            InputError: a history has no item that the model knows, k exceeds the catalogue, or no
                item is left that may be recommended.
        """
        from recsys.tables import recommended

        return recommended(
            fitted(self, "_opened"),
            list(histories),
            k,
            exclude_seen=exclude_seen,
            candidates=None if candidates is None else list(candidates),
            prefix=prefix,
        )

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

        return evaluated(fitted(self, "_frozen"), as_polars(interactions, "interactions"))

    def _take(self, frozen: "FrozenRecommender") -> Self:
        from recsys.recommender import Recommender as Opened

        self._frozen, self._opened = frozen, Opened.of(frozen)
        self.fingerprint_, self.metrics_ = frozen.fingerprint, frozen.metrics
        return self
