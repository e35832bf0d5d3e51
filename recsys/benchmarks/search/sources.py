"""Prepared tables or raw reviews → the data sets of a search benchmark. Needs polars."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.encoders import Encoder
from data_prep.errors import InputError
from data_prep.readers.amazon import read_category
from data_prep.readers.jdsearch import PUBLISHED as JDSEARCH_PUBLISHED
from data_prep.storage.files import existing_file
from data_prep.storage.record import file_digest
from data_prep.text import TextTemplate
from recsys.search.data.dataset import SearchDataset, Split
from recsys.search.data.derived_queries import derived_query
from recsys.search.data.requests import of_histories, of_judgements, with_shown, with_vectors

__all__ = [
    "PART_OF",
    "Embedded",
    "SearchSource",
    "amazon_source",
    "check_prepared",
    "esci_source",
    "jdsearch_source",
]

Embedded = Callable[[Sequence[str]], NDArray[np.float32]]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
# Begins the note of a file that holds a part of what was published.
PART_OF = "of the published "
TABLES = {
    "esci": ("items.parquet", "queries.parquet"),
    "jdsearch": ("items.parquet", "interactions.parquet", "queries.parquet"),
}
# An entry of prepare.json that only this data set's has.
OWN_NOTE = {"esci": "locale", "jdsearch": "least"}
NO_TEXT = "item without a description"
FIELDS = {
    "esci": ("title", "brand", "color", "bullet_points", "description"),
    "jdsearch": ("title", "brand", "categories"),
}


@dataclass(frozen=True, eq=False)
class SearchSource:
    """One data set of a benchmark.

    Attributes:
        dataset: with the vectors of items and queries, without codes.
        texts: the items' texts, for bm25.
        notes: counts.
    """

    name: str
    dataset: SearchDataset
    texts: Sequence[str]
    notes: Mapping[str, int]


def amazon_source(
    name: str, files: tuple[Path, Path], encoder: Encoder, embedded: Embedded
) -> SearchSource:
    """Make the purchases of an Amazon category into requests with derived queries.

    Only requests whose pair of user and query is unseen in the tests are trained on.

    Raises:
        InputError: as `data_prep.readers.amazon.read_category`.
    """
    interactions, items = read_category(*files)
    paths = items["categories"].to_list()
    asked = pl.Series("query", [derived_query(path) for path in paths], dtype=pl.String)
    events = interactions.select("user_id", "item_id").join(
        items.select("item_id").with_columns(asked), on="item_id", how="left", maintain_order="left"
    )
    source = "+".join(file_digest(path) for path in files)
    dataset = of_histories(events, items["item_id"].to_list(), source, unseen_pairs=True)
    return _with_vectors(name, dataset, items, TextTemplate(), encoder, embedded)


def esci_source(folder: Path, encoder: Encoder, embedded: Embedded) -> SearchSource:
    """Read what `semid prepare esci` wrote.

    Raises:
        InputError: a table is missing or cannot be used.
    """
    items, notes = _tables(folder, "esci")
    queries = pl.read_parquet(folder / "queries.parquet")
    dataset = of_judgements(queries, items["item_id"].to_list(), _digest(notes))
    name = f"esci-{notes['locale']}-{notes['version']}-{notes['positive']}"
    template = TextTemplate(fields=FIELDS["esci"])
    part = _part_of(notes["queries_in_file"], notes["published"][0], "queries")
    return _with_vectors(name, dataset, items, template, encoder, embedded, part)


def jdsearch_source(folder: Path, encoder: Encoder, embedded: Embedded) -> SearchSource:
    """Read what `semid prepare jdsearch` wrote.

    Raises:
        InputError: a table is missing or cannot be used.
    """
    items, notes = _tables(folder, "jdsearch")
    ids = items["item_id"].to_list()
    known = (
        pl.scan_parquet(folder / "interactions.parquet")
        .select("user_id", "item_id", "query")
        .join(items.lazy().select("item_id"), on="item_id", how="semi", maintain_order="left")
        .collect()
        .filter(pl.len().over("user_id") >= int(notes["least"]))
    )
    dataset = of_histories(known, ids, _digest(notes))
    users = known["user_id"].rle()
    lengths = users.struct.field("len").to_numpy().astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    shown = pl.read_parquet(folder / "queries.parquet")
    shown = shown.filter(pl.col("query").is_not_null())
    dataset = with_shown(dataset, users.struct.field("value").to_list(), shown, ends)
    template = TextTemplate(fields=FIELDS["jdsearch"])
    part = _part_of(notes["users"], JDSEARCH_PUBLISHED[0], "users")
    return _with_vectors("jdsearch", dataset, items, template, encoder, embedded, part)


def check_prepared(folder: Path, kind: str) -> dict[str, Any]:
    """Check that a folder has the tables of a prepared data set; return what it says of them.

    Args:
        kind: a key of `TABLES`.

    Raises:
        InputError: a table is missing, or the folder is of another data set.
    """
    remedy = f"give the folder that semid prepare {kind} wrote"
    for name in ("prepare.json", *TABLES[kind]):
        try:
            existing_file(folder / name)
        except InputError as error:
            raise InputError(f"{error}; {remedy}") from error
    try:
        notes = json.loads((folder / "prepare.json").read_text())
    except ValueError as error:
        raise InputError(f"{folder / 'prepare.json'} is damaged: {error}; {remedy}") from error
    if not isinstance(notes, dict) or OWN_NOTE[kind] not in notes:
        raise InputError(f"{folder} holds another data set; {remedy}")
    return notes


def _part_of(found: int, published: int, what: str) -> dict[str, int]:
    """Return the note of a file that holds a part of what was published, or none."""
    return {} if found == published else {f"{PART_OF}{published:,} {what}": found}


def _tables(folder: Path, kind: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    notes = check_prepared(folder, kind)
    return pl.read_parquet(folder / "items.parquet"), notes


def _digest(notes: Mapping[str, Any]) -> str:
    return str(notes["record"]["data_fingerprint"])


def _with_vectors(
    name: str,
    dataset: SearchDataset,
    items: pl.DataFrame,
    template: TextTemplate,
    encoder: Encoder,
    embedded: Embedded,
    part: Mapping[str, int] | None = None,
) -> SearchSource:
    texts = [template.render(row) or NO_TEXT for row in items.iter_rows(named=True)]
    full = with_vectors(dataset, embedded(texts), embedded, (encoder.name, encoder.revision))
    counts = {f"{split} requests": len(full.requests(split)) for split in SPLITS}
    notes = {
        "items": full.n_items,
        "queries": len(full.queries),
        **counts,
        "items without text": texts.count(NO_TEXT),
        **(part or {}),
    }
    return SearchSource(name, full, texts, notes)
