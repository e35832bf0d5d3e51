"""`semid similar`: the items nearest to an item, a text or a vector, without a service."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from service.cli.terminal.console import print_json, print_table
from service.cli.terminal.options import CATALOGUE, CatalogueOptions, JsonOption
from service.settings import argument, option

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from tokenizer.pipeline import Pipeline

__all__ = ["SimilarSettings", "similar"]


class SimilarSettings(CatalogueOptions, JsonOption):
    """What `semid similar` can be told."""

    command = "similar"

    tokenizer: Path = argument("Folder that semid fit wrote.")
    ids: Path = option("IDs of the items, by semid tokenize.")
    item: str | None = option("item_id of an item in --ids; it is left out of the answer.", None)
    text: str | None = option("A text, as the tokenizer's items have it.", None)
    vector: Path | None = option("JSON file with a vector, a list of numbers; - reads it.", None)
    k: int = option("Items in the answer.", 10, ge=1)
    items: Path | None = option(f"{CATALOGUE}, for titles.", None)


def similar(settings: SimilarSettings) -> None:
    """Find the items nearest to an item, a text or a vector of your own, among those of --ids.

    Distances are squared, between what the tokenizer's network makes of the query and what the
    items' codes stand for: those that semid serve answers with.

    Example: semid similar tokenizers/beauty --ids beauty-ids.parquet --text "rose hand cream"
    """
    import numpy as np

    from tokenizer.index.semantic_index import SemanticIndex
    from tokenizer.offline.id_table import read_ids
    from tokenizer.pipeline import Pipeline

    asked = [settings.item, settings.text, settings.vector]
    if sum(each is not None for each in asked) != 1:
        raise InputError("give one of --item, --text and --vector")
    pipeline = Pipeline.load(settings.tokenizer)
    ids = read_ids(settings.ids, pipeline)
    titles = {}
    if settings.items is not None:
        frame = settings.read(settings.items)
        titles = dict(zip(frame["item_id"], frame["title"], strict=True))
    latent = _latent(settings, pipeline, ids)
    index = SemanticIndex(pipeline.codebooks)
    codes = np.asarray(ids["codes"].to_list(), np.uint16).reshape(-1, pipeline.levels)
    index.add(np.arange(ids.height), codes)
    keys, distances = index.search(latent[None, :], settings.k + (settings.item is not None))
    found = []
    for key, distance in zip(keys[0].tolist(), distances[0].tolist(), strict=True):
        if key < 0 or (item_id := ids["item_id"][key]) == settings.item:
            continue
        row = {"item_id": item_id, "semantic_id": ids["semantic_id"][key], "distance": distance}
        found.append(row | ({"title": titles.get(item_id)} if titles else {}))
    found = found[: settings.k]
    if settings.as_json:
        print_json(found)
        return
    headings = ["item_id", "semantic_id", "distance", *(["title"] if titles else [])]
    print_table(headings, [[row[name] or "" for name in headings] for row in found])


def _latent(
    settings: SimilarSettings, pipeline: "Pipeline", ids: "pl.DataFrame"
) -> "NDArray[np.float32]":
    """Return the latent (d,) of what is asked for."""
    import numpy as np

    if settings.item is not None:
        rows = ids.filter(ids["item_id"] == settings.item)
        if rows.is_empty():
            raise InputError(f"--item {settings.item}: {settings.ids} has no such item")
        latents = pipeline.latents_of_codes(np.asarray(rows["codes"].to_list(), np.uint16))
    elif settings.text is not None:
        latents = pipeline.latents(pipeline.embed([settings.text]))
    else:
        assert settings.vector is not None
        latents = pipeline.latents(_read_vector(settings.vector)[None, :])
    latent: NDArray[np.float32] = latents[0]
    return latent


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
        raise InputError(f"--vector {path} is no JSON list of numbers: {error}") from error
    if vector.ndim != 1:
        raise InputError(f"--vector {path} is no list of numbers; give one vector, as [0.1, 0.2]")
    return vector
