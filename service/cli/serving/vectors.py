"""Vectors of items that a service takes over by their IDs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from service.cli.terminal.console import bar, errors

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from service.engine.catalogue import Catalogue
    from service.registry.vectors import VectorStore

    Vectors = NDArray[np.float32]
    Chunks = Iterator[tuple[Sequence[str], Vectors]]

__all__ = ["take_vectors"]

CHUNK = 1000
SAMPLE, ALIKE = 200, 0.5  # of the vectors, items that are coded; the least share of equal codes


def take_vectors(
    catalogues: "Sequence[Catalogue]",
    files: Sequence[Path],
    items: "pl.DataFrame | None",
    keep_vectors: int,
    cache: Path | None,
) -> None:
    """Keep vectors of registered items that have none: those of the files, then cached ones.

    Args:
        items: the catalogue; the vectors of its texts are taken from the cache where it has them.
        keep_vectors: number of items up to which a tokenizer's vectors are kept.
        cache: folder of the cache; None for the user's.

    Raises:
        InputError: a file cannot be read, or does not belong to any of the tokenizers.
    """
    from data_prep.readers.catalogue import read_vectors

    kept = [each for each in catalogues if 0 < each.registry.count() <= keep_vectors]
    for path in files:
        table = read_vectors(path)
        width = table["vector"].to_numpy().shape[1]
        fitting = [each for each in catalogues if each.pipeline.config.dimension == width]
        if not fitting:
            raise InputError(f"--vectors {path}: no tokenizer that is served takes {width} numbers")
        for catalogue in fitting:
            if catalogue in kept:
                _check(catalogue, table, path)
                _keep(catalogue.nearest.vectors, _rows(table))
    if items is not None:
        for catalogue in kept:
            texts = catalogue.pipeline.config.encoder is not None
            if texts and catalogue.nearest.vectors.count() < catalogue.registry.count():
                _keep(catalogue.nearest.vectors, _cached(catalogue, items, cache))
    for catalogue in kept:
        _tell(catalogue)


def _keep(store: "VectorStore", chunks: "Chunks") -> None:
    with bar("taking vectors over", 0) as progress:
        store.keep(chunks, progress)


def _rows(table: "pl.DataFrame") -> "Chunks":
    for part in table.iter_slices(CHUNK):
        yield part["item_id"].to_list(), part["vector"].to_numpy()


def _cached(catalogue: "Catalogue", items: "pl.DataFrame", folder: Path | None) -> "Chunks":
    """Yield the catalogue's items that lack a vector, with the vectors that the cache has."""
    import numpy as np
    import polars as pl

    from data_prep.embedding.embed import EmbeddingCache, default_cache_folder

    folder = folder or default_cache_folder()
    if not EmbeddingCache.is_there(folder):
        return
    with EmbeddingCache(folder) as cache:
        for part in items.iter_slices(CHUNK):
            lacking = catalogue.nearest.vectors.lacking(part["item_id"].to_list())
            some = part.filter(pl.col("item_id").is_in(lacking))
            texts = catalogue.pipeline.texts_of_some(some.iter_rows(named=True))
            vectors = catalogue.pipeline.cached(list(texts.values()), cache)
            names = [name for name, text in texts.items() if text in vectors]
            if names:
                yield names, np.stack([vectors[texts[name]] for name in names])


def _check(catalogue: "Catalogue", table: "pl.DataFrame", path: Path) -> None:
    """Check on some items that a table's vectors give the codes that the registry has.

    Raises:
        InputError: they do not, or a vector cannot be tokenized.
    """
    catalogue.pipeline.check(table["vector"].to_numpy(), table["item_id"].to_list())
    some = table.gather_every(max(1, table.height // SAMPLE))
    known = catalogue.registry.get(some["item_id"].to_list())
    vectors = some["vector"].to_numpy()
    rows = [row for row, name in enumerate(some["item_id"]) if name in known]
    if not rows:
        return
    codes = catalogue.pipeline.tokenize(vectors[rows], checked=True).codes[:, 0].tolist()
    names = [some["item_id"][row] for row in rows]
    alike = sum(known[name].codes[0] == code for name, code in zip(names, codes, strict=True))
    if alike < ALIKE * len(rows):
        raise InputError(
            f"--vectors {path}: {len(rows) - alike} of {len(rows)} items would get other codes "
            f"than they have; give the vectors that their IDs were made from"
        )


def _tell(catalogue: "Catalogue") -> None:
    items, having = catalogue.registry.count(), catalogue.nearest.vectors.count()
    if having < items:
        errors.print(
            f"{items - having:,} of {items:,} items of tokenizer "
            f"{catalogue.pipeline.fingerprint[:16]}… have no vector: as neighbours they are "
            f"compared by their codes; give --vectors with those that their IDs were made from"
        )
