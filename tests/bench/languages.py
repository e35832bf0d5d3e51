"""Encoders on catalogues of several languages: have near items one category, and after coding.

Beauty has category paths. Open Food Facts has none: its label is the first ingredient, and the
encoders read the product's name alone. An agreement is the share of an item's five nearest other
items (by cosine) that have its label, over items whose label some other item has too.
"""

import gzip
import html
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import torch
from numpy.typing import NDArray

from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import encoder_for
from tokenizer.advice.shape import proposed_shape
from tokenizer.options import configured
from tokenizer.study.meaning import neighbours_kept, prefix_meaning
from tokenizer.training.loop import train

__all__ = ["agreement", "languages"]

ITEMS = 3000
NEAREST = 5
ENCODERS = ("hashing", "words", "ngrams", "minilm")
# Letters of Japanese, Chinese, Korean and Thai.
ASIAN = r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]"
OTHER_SCRIPTS = r"[\u0370-\u04ff\u0590-\u06ff]"
FRENCH = "^3[0-7]"  # of barcodes
_END = re.compile(r"[,;.:(/\u3001\u3002\uff0c\uff08\uff1a\u30fb]|\s{2}")


def languages() -> list[dict[str, Any]]:
    """Measure every encoder on each catalogue of $SEMID_DATA; without it there are no rows."""
    folder = os.environ.get("SEMID_DATA")
    if not folder:
        return []
    return [
        {"catalogue": name, "encoder": encoder, **_measured(encoder, texts, labels)}
        for name, (texts, labels) in _catalogues(Path(folder)).items()
        for encoder in ENCODERS
    ]


def agreement(vectors: NDArray[np.float32], labels: Sequence[str], k: int = NEAREST) -> float:
    """Return the share of the k nearest items that have an item's label."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    names, counts = np.asarray(labels), Counter(labels)
    asked = np.flatnonzero([counts[label] > 1 for label in labels])
    closeness = unit[asked] @ unit.T
    closeness[np.arange(len(asked)), asked] = -np.inf
    nearest = np.argpartition(-closeness, k, axis=1)[:, :k]
    return float((names[nearest] == names[asked][:, None]).mean())


def _measured(encoder: str, texts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Measure vectors, and what k-means of the proposed shape leaves of them."""
    shape = proposed_shape(len(texts))
    sizes = {"levels": shape.levels, "codebook_size": shape.codebook_size}
    config = configured({"quantizer": "kmeans", **sizes}, {"network": "identity"})
    started = time.perf_counter()
    vectors = embed(texts, encoder_for(encoder, texts))
    seconds = time.perf_counter() - started
    model = train(torch.tensor(vectors), config).model
    codes = model.encode(torch.tensor(vectors))
    decoded = model.decode(codes)
    first = prefix_meaning(codes, labels, 0)[0]
    return {
        "items": len(texts),
        "labels": len(set(labels)),
        "shape": str(shape),
        "agreement": agreement(vectors, labels),
        "agreement_decoded": agreement(decoded.numpy(), labels),
        "neighbours_kept": neighbours_kept(torch.tensor(vectors), decoded, 0),
        "meaning_of_first_code": first["score"],
        "meaning_shuffled": first["shuffled"],
        "seconds": seconds,
    }


def _catalogues(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    foods = pl.read_parquet(folder / "openfoodfacts_catalogue" / "products.parquet").drop_nulls()
    name, code = pl.col("product_name"), pl.col("barcode")
    return {
        "beauty": _beauty(folder / "amazon2014" / "Beauty" / "meta_Beauty.json.gz"),
        "foods_east_asian_and_thai": _foods(foods.filter(name.str.contains(ASIAN))),
        "foods_greek_cyrillic_hebrew_arabic": _foods(
            foods.filter(name.str.contains(OTHER_SCRIPTS))
        ),
        "foods_french": _foods(foods.filter(code.str.contains(FRENCH))),
    }


def _beauty(path: Path) -> tuple[list[str], list[str]]:
    with gzip.open(path) as lines:
        rows = [row for row in map(orjson.loads, lines) if row.get("title")]
    drawn = np.random.default_rng(0).permutation(len(rows))[:ITEMS]
    some = [rows[row] for row in drawn]
    titles = [html.unescape(row["title"]) for row in some]
    return titles, [" > ".join(row["categories"][0][:3]) for row in some]


def _foods(foods: pl.DataFrame) -> tuple[list[str], list[str]]:
    some = foods.sample(min(ITEMS, foods.height), seed=0)
    labels = [
        _END.split(text.strip().casefold())[0].strip(" _*") for text in some["ingredients_200"]
    ]
    return some["product_name"].to_list(), labels
