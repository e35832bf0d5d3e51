"""The Amazon benchmark's data: raw reviews → tables → tokenizers → datasets with codes."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from data_prep.embedding.encoders import Encoder
from data_prep.errors import InputError
from data_prep.readers.amazon import read_category
from data_prep.sequences import leave_one_out
from data_prep.storage.durable import recover
from data_prep.storage.files import written_aside
from data_prep.storage.record import file_digest
from data_prep.text import TextTemplate
from recsys.data.dataset import SequenceDataset
from recsys.data.preparation import prepare_dataset
from tokenizer.config import FitConfig
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline
from tokenizer.quantizer_config import GritConfig
from tokenizer.training.fit import fit
from tokenizer.training.health import unique_share

__all__ = [
    "Category",
    "Reader",
    "categories_in",
    "dataset_of",
    "prepare_category",
    "tokenized",
    "tokenizer_name",
]

TABLES = ("items.parquet", "sequences.parquet", "source.json")
NO_TEXT = "item without a description"
Reader = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]


@dataclass(frozen=True, eq=False)
class Category:
    """One category of the data.

    Attributes:
        items: the catalogue: all items that have an event.
        sequences: split by leave-one-out, as `data_prep.sequences.leave_one_out` returns them.
        vectors: (items, D) float32, the embedded texts of the items.
        source: digest of the raw files.
        notes: how many users, items and events there are, and how many items have each text field.
    """

    name: str
    items: pl.DataFrame
    sequences: pl.DataFrame
    vectors: NDArray[np.float32]
    source: str
    notes: Mapping[str, Any]


def categories_in(data: Path, wanted: Sequence[str] = ()) -> dict[str, tuple[Path, Path]]:
    """Return the files of reviews and of metadata of each category in a folder, by name.

    Args:
        wanted: names of categories; all in the folder where empty.

    Raises:
        InputError: `data` is not a folder, has no category, or lacks a wanted one.
    """
    if not data.is_dir():
        raise InputError(f"{data} is not a folder; give the folder that holds the categories")
    found = {}
    for reviews in sorted(data.rglob("reviews_*_5.json.gz")):
        name = reviews.name.removeprefix("reviews_").removesuffix("_5.json.gz")
        metadata = reviews.with_name(f"meta_{name}.json.gz")
        if metadata.is_file():
            found[name] = (reviews, metadata)
    if not found:
        raise InputError(f"{data} has no category: reviews_NAME_5.json.gz beside meta_NAME.json.gz")
    unknown = sorted(set(wanted).difference(found))
    if unknown:
        raise InputError(f"no category {unknown[0]!r} in {data}; it has {', '.join(found)}")
    return {name: found[name] for name in wanted or found}


def prepare_category(
    name: str,
    files: tuple[Path, ...],
    folder: Path,
    embedded: Callable[[list[str]], NDArray[np.float32]],
    template: TextTemplate,
    read: Reader = read_category,
) -> Category:
    """Read a category, or reuse the tables that an earlier run wrote to `folder`.

    Args:
        files: what `read` takes, such as reviews and metadata.
        read: returns interactions in time order, and items; by default those of Amazon 2014.
        embedded: texts → vectors (n, D). An item without text is embedded as `NO_TEXT`.
    """
    source = "+".join(file_digest(path) for path in files)
    stamp = {"source": source}
    kept = folder / "source.json"
    recover(folder)
    if not kept.is_file() or json.loads(kept.read_text()) != stamp:
        interactions, known = read(*files)
        wanted = interactions.select(pl.col("item_id").unique(maintain_order=True))
        missing = wanted.join(known, on="item_id", how="anti")
        with written_aside(folder, TABLES) as aside:
            pl.concat([known, missing], how="diagonal").write_parquet(aside / "items.parquet")
            leave_one_out(interactions).write_parquet(aside / "sequences.parquet")
            (aside / "source.json").write_text(json.dumps(stamp))
    items = pl.read_parquet(folder / "items.parquet")
    sequences = pl.read_parquet(folder / "sequences.parquet")
    texts = [template.render(row) or NO_TEXT for row in items.iter_rows(named=True)]
    events = sequences["history"].list.len().sum() + 2 * sequences.height
    notes = {
        "users": sequences.height,
        "items": items.height,
        "events": int(events),
        "items_with": {
            field: items.height - items[field].null_count() for field in template.fields
        },
        "items_without_text": texts.count(NO_TEXT),
    }
    return Category(name, items, sequences, embedded(texts), source, notes)


def tokenizer_name(config: FitConfig) -> str:
    """Return a tokenizer's name in tables, such as `grit-4x256` or `kmeans-8x256-beam5`.

    A GRIT-VQ without its radius or transform is named so: `grit-4x256-no-transform`.
    """
    quantizer, network = config.quantizer, config.autoencoder.network
    parts = [quantizer.name, f"{quantizer.levels}x{quantizer.codebook_size}"]
    parts += [network] if network != FitConfig().autoencoder.network else []
    parts += [f"beam{quantizer.search_beam}"] if quantizer.search_beam > 1 else []
    if isinstance(quantizer, GritConfig):
        parts += ["no-radius"] if quantizer.psi_max == 0 else []
        parts += ["no-transform"] if quantizer.transform == "none" else []
    return "-".join(parts)


def tokenized(
    categories: Sequence[Category],
    config: FitConfig,
    folder: Path,
    template: TextTemplate,
    encoder: Encoder,
    progress: Callable[[int, Any], None] | None = None,
) -> Iterator[tuple[Category, SequenceDataset, dict[str, Any]]]:
    """Fit one tokenizer to the items of all categories; yield each category's dataset.

    A tokenizer in `folder` is reused if it was fitted to the same vectors with the same
    configuration.

    Yields:
        The category, its dataset with codes and suffixes, and the tokenizer's entry for records.
    """
    items = pl.concat([category.items.select("item_id") for category in categories])
    vectors = np.concatenate([category.vectors for category in categories])
    # Some items are in two categories.
    vectors = vectors[items["item_id"].is_first_distinct().to_numpy()]
    digest = hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()
    pipeline = _kept(folder, config, digest)
    if pipeline is None:
        fit(folder, vectors, config, template, encoder, digest, baseline=False, progress=progress)
        pipeline = Pipeline.load(folder)
    for category in categories:
        given = category.items.select("item_id").with_columns(vector=category.vectors)
        ids = tokenize_catalogue(category.items, pipeline, vectors=given)
        coded = prepare_dataset(
            category.sequences,
            category.items,
            ids,
            codebooks=pipeline.codebooks,
            codebook_size=config.quantizer.codebook_size,
            source=category.source,
        )
        entry = _record_entry(pipeline, categories, config, ids)
        yield category, coded, {"tokenizer": entry}


def dataset_of(category: Category) -> SequenceDataset:
    """Return the category's dataset without codes and content vectors."""
    return prepare_dataset(category.sequences, category.items, source=category.source)


def _record_entry(
    pipeline: Pipeline, categories: Sequence[Category], config: FitConfig, ids: pl.DataFrame
) -> dict[str, Any]:
    """Return what a record says of the tokenizer that gave `ids`."""
    levels = pipeline.metrics["levels"]
    return {
        "fingerprint": pipeline.fingerprint,
        "fitted_to": [category.name for category in categories],
        "held_out_error": pipeline.metrics["held_out_error"],
        "utilization": sum(level["utilization"] for level in levels) / len(levels),
        "unique_share": unique_share(torch.tensor(ids["codes"].to_list())),
        "training_seconds": pipeline.metrics["training_seconds"],
        "config": json.loads(json.dumps(asdict(config))),
    }


def _kept(folder: Path, config: FitConfig, digest: str) -> Pipeline | None:
    """Return the tokenizer in `folder` if it has this configuration and data, else None."""
    if not (folder / "config.json").is_file():
        return None
    pipeline = Pipeline.load(folder)
    made_of = pipeline.metrics["record"]["data_fingerprint"]
    same = pipeline.config.training == config and made_of == digest
    return pipeline if same else None
