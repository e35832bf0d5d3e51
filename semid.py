"""semid from Python: tokenizers, recommenders, and the client of the service.

    tokenizer = semid.Tokenizer(levels=4).fit(semid.read_items("products.csv"))

Tables go in as polars or pandas DataFrames or as lists of dicts, and come out as polars DataFrames.
Estimators follow scikit-learn's conventions: parameters are keywords and stay as given, `fit`
returns the estimator, attributes of a fit end in an underscore, and methods that need a fit raise
`sklearn.exceptions.NotFittedError` before one.

Importing semid loads no library; a name loads what it needs when it is first used. The client needs
the base installation, all else an extra. The import limits how long idle threads of torch and faiss
spin; your own settings stay.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.errors import InputError, naming_extras
from data_prep.threads import bound_spinning

if TYPE_CHECKING:
    import polars as pl

    from recsys.estimator import Recommender
    from service.client import AsyncSemid as AsyncClient
    from service.client import Semid as Client
    from service.client import SemidError
    from tokenizer.estimator import Tokenizer

__all__ = [
    "AsyncClient",
    "Client",
    "InputError",
    "Recommender",
    "SemidError",
    "Tokenizer",
    "read_items",
]

bound_spinning()  # OpenMP reads the environment when torch and faiss load

_LAZY = {
    "AsyncClient": ("service.client", "AsyncSemid"),
    "Client": ("service.client", "Semid"),
    "Recommender": ("recsys.estimator", "Recommender"),
    "SemidError": ("service.client", "SemidError"),
    "Tokenizer": ("tokenizer.estimator", "Tokenizer"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'semid' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)


@naming_extras()
def read_items(
    path: str | Path, columns: Mapping[str, str] | None = None, category_separator: str = ">"
) -> "pl.DataFrame":
    """Read and check a catalogue: CSV, JSON, parquet or Excel; texts also gzipped.

    Args:
        columns: column name in the Items schema → name in the file, where the two differ.
        category_separator: splits `categories` if a row has them as one text.

    Raises:
        InputError: the file cannot be read; an `item_id` is missing, empty or occurs twice.
    """
    from data_prep.readers.catalogue import read_items

    return read_items(Path(path), columns, category_separator)


if __name__ == "__main__":  # python -m semid
    from service.cli import main

    main()
