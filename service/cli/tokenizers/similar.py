"""`semid similar`: the items nearest to an item, a text or a vector, without a service."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from service.cli.terminal.console import errors, print_json, print_table, working
from service.cli.terminal.options import (
    CATALOGUE,
    VECTORS,
    CacheOption,
    CatalogueOptions,
    JsonOption,
    ThreadsOption,
)
from service.settings import argument, option

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from tokenizer.pipeline import Pipeline

__all__ = ["SimilarSettings", "similar"]


class SimilarSettings(ThreadsOption, CacheOption, CatalogueOptions, JsonOption):
    """The options of `semid similar`."""

    command = "similar"

    tokenizer: Path = argument("Folder that semid fit wrote.")
    ids: Path = option("IDs of the items, from semid tokenize.")
    item: str | None = option("item_id of an item in --ids; the answer leaves it out.", None)
    text: str | None = option("A text like those of the tokenizer's items.", None)
    vector: Path | None = option(
        "JSON file with a vector (a list of numbers); - reads standard input.", None
    )
    k: int = option("Items in the answer.", 10, ge=1)
    items: Path | None = option(
        f"{CATALOGUE}; its texts rank the answer exactly, and it shows titles.", None
    )
    vectors: Path | None = option(VECTORS, None)
    exact: bool = option("Rank by the vectors of --items or --vectors; else by codes.", True)


def similar(settings: SimilarSettings) -> None:
    """Find the items of --ids that are nearest to an item, a text or a vector of your own.

    The vectors of --items or --vectors are compared by cosine: all that are in the cache, and those
    of the items that the codes propose. An item without a vector, or any item with --no-exact, is
    compared by what its codes decode to. A distance is the squared distance from the latent of the
    query to the decoded latent of an item. All figures are those of semid serve.

    Example: semid similar tokenizers/beauty --ids beauty-ids.parquet --text "rose hand cream"
    """
    from service.cli.data.catalogue import open_cache
    from tokenizer.offline.id_table import read_ids
    from tokenizer.offline.nearest import ItemVectors, similar_items
    from tokenizer.pipeline import Pipeline

    settings.use_threads()
    asked = [settings.item, settings.text, settings.vector]
    if sum(each is not None for each in asked) != 1:
        raise InputError("give one of --item, --text and --vector")
    vector = None if settings.vector is None else _read_vector(settings.vector)
    pipeline = Pipeline.load(settings.tokenizer)
    ids = read_ids(settings.ids, pipeline)
    items = None if settings.items is None else settings.read(settings.items, pipeline.config)
    source = _source(settings, items, pipeline)
    if source is None and settings.exact:
        errors.print("answered from codes alone; give --items or --vectors for exact neighbours")
    with open_cache(settings.cache) as cache, working("comparing vectors"):
        found = similar_items(
            ids, pipeline, item_id=settings.item, text=settings.text, vector=vector, k=settings.k,
            own=None if source is None else ItemVectors(source, pipeline, cache),
        )  # fmt: skip
    if items is not None:
        titles = items.select("item_id", "title")
        found = found.join(titles, on="item_id", how="left", maintain_order="left")
    if settings.as_json:
        print_json(found.to_dicts())
        return
    print_table(
        found.columns, [["" if cell is None else cell for cell in row] for row in found.rows()]
    )


def _source(
    settings: SimilarSettings, items: "pl.DataFrame | None", pipeline: "Pipeline"
) -> "pl.DataFrame | None":
    """Return the table whose vectors or texts rank the neighbours; None if there is none."""
    from data_prep.readers.catalogue import read_vectors

    if not settings.exact:
        return None
    if settings.vectors is not None:
        return read_vectors(settings.vectors)
    if items is None or "vector" in items.columns or pipeline.config.encoder is not None:
        return items
    return None


def _read_vector(path: Path) -> "NDArray[np.float32]":
    import numpy as np
    import orjson

    from data_prep.storage.files import existing_file

    if path != Path("-"):
        existing_file(path)
    read = sys.stdin.buffer.read() if path == Path("-") else path.read_bytes()
    try:
        vector = np.asarray(orjson.loads(read), dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(f"--vector {path} is not a JSON list of numbers: {error}") from error
    if vector.ndim != 1:
        raise InputError(
            f"--vector {path} is not a list of numbers; give one vector, as [0.1, 0.2]"
        )
    return vector
