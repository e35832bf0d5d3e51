"""Real catalogues of many sizes and kinds, with the vectors that semid fit would make of them."""

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache, default_cache_folder, embed
from data_prep.embedding.encoders import encoder_for
from data_prep.readers.amazon import read_metadata
from data_prep.text import TextTemplate

__all__ = ["CATALOGUES", "RealCatalogue", "vectors_of"]

# Letters of Japanese, Chinese, Korean and Thai.
ASIAN = r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]"
FRENCH = "^3[0-7]"  # of barcodes
PATH = 3  # categories of a path that make a label
_END = re.compile(r"[,;.:(/\u3001\u3002\uff0c\uff08\uff1a\u30fb]|\s{2}")


@dataclass(frozen=True)
class RealCatalogue:
    """Texts of items, with a label of each; a label is empty where the source has none.

    Attributes:
        encoder: an encoder's name, as for `semid fit`.
    """

    texts: list[str]
    labels: list[str]
    encoder: str = "minilm"

    def some(self, items: int) -> "RealCatalogue":
        """Return so many items, drawn without an order."""
        rows = np.random.default_rng(0).permutation(len(self.texts))[:items].tolist()
        return RealCatalogue(
            [self.texts[row] for row in rows], [self.labels[row] for row in rows], self.encoder
        )


def vectors_of(catalogue: RealCatalogue) -> NDArray[np.float32]:
    """Return the vectors (n, D) of the texts; those of MiniLM stay in semid's cache."""
    encoder = encoder_for(catalogue.encoder, catalogue.texts)
    with EmbeddingCache(default_cache_folder()) as kept:
        return embed(catalogue.texts, encoder, kept if catalogue.encoder == "minilm" else None)


def _amazon(category: str) -> Callable[[Path], RealCatalogue]:
    def read(data: Path) -> RealCatalogue:
        items = read_metadata(data / "amazon2014" / category / f"meta_{category}.json.gz")
        rows = [(TextTemplate().render(row), row) for row in items.iter_rows(named=True)]
        return RealCatalogue(
            [text for text, _ in rows if text],
            [" > ".join((row["categories"] or [])[:PATH]) for text, row in rows if text],
        )

    return read


def _foods(letters: pl.Expr) -> Callable[[Path], RealCatalogue]:
    """Return foods by their names; a label is the first ingredient."""

    def read(data: Path) -> RealCatalogue:
        foods = pl.read_parquet(data / "openfoodfacts_catalogue" / "products.parquet")
        named = foods.filter(pl.col("product_name").str.strip_chars() != "").filter(letters)
        labels = [
            _END.split((text or "").strip().casefold())[0].strip(" _*")
            for text in named["ingredients_200"]
        ]
        return RealCatalogue(named["product_name"].to_list(), labels, "ngrams")

    return read


def _films(data: Path) -> RealCatalogue:
    with gzip.open(data / "movielens" / "ml-latest-small" / "movies.csv.gz") as file:
        films = pl.read_csv(file.read(), quote_char='"')
    genres = [text.split("|") for text in films["genres"]]
    texts = [
        f"{title}. Categories: {' > '.join(of)}."
        for title, of in zip(films["title"], genres, strict=True)
    ]
    return RealCatalogue(texts, [of[0] for of in genres])


def _gifts(data: Path) -> RealCatalogue:
    sales = pl.read_parquet(data / "uci_online_retail" / "transactions.parquet")
    gifts = sales.filter(pl.col("Description").str.strip_chars() != "").unique(
        "StockCode", keep="first", maintain_order=True
    )
    texts = [text.strip() for text in gifts["Description"]]
    return RealCatalogue(texts, [""] * len(texts))


def _queried(data: Path) -> RealCatalogue:
    """Return products of the Shopping Queries data; a label is the brand."""
    parts = [
        data / "esci" / "shopping_queries_dataset_products.sample.parquet",
        data / "esci_more" / "examples_with_text_485.parquet",
        data / "esci_more" / "exact_matches_with_text_100.parquet",
    ]
    columns = ("product_id", "product_title", "product_brand", "product_description")
    frame = pl.concat([pl.read_parquet(path).select(columns) for path in parts])
    rows = frame.unique("product_id", keep="first", maintain_order=True).rename(
        {f"product_{name}": name for name in ("title", "brand", "description")}
    )
    rendered = [
        (TextTemplate(markup="strip").render(row), row["brand"])
        for row in rows.iter_rows(named=True)
    ]
    return RealCatalogue(
        [text for text, _ in rendered if text], [brand or "" for text, brand in rendered if text]
    )


def _anonymised(data: Path) -> RealCatalogue:
    """Return JDsearch's products: numbered words; a label is the third category."""
    lines = (data / "jdsearch" / "product_meta_data_sample.txt").read_text().splitlines()
    header, *rows = (line.split("\t") for line in lines)
    name, label = header.index("name"), header.index("cate_name_3")
    return RealCatalogue(
        [row[name].replace("\x18", " ") for row in rows], [row[label] for row in rows], "words"
    )


_beauty, _toys, _sports = map(_amazon, ("Beauty", "Toys_and_Games", "Sports_and_Outdoors"))
_french = _foods(pl.col("barcode").str.contains(FRENCH))
# The rule is found on some catalogues, and only tried on the others.
CATALOGUES: dict[str, tuple[str, Callable[[Path], RealCatalogue]]] = {
    "beauty-300": ("found", lambda data: _beauty(data).some(300)),
    "beauty-1000": ("found", lambda data: _beauty(data).some(1000)),
    "beauty-3000": ("found", lambda data: _beauty(data).some(3000)),
    "beauty": ("found", _beauty),
    "toys": ("found", lambda data: replace(_toys(data), encoder="ngrams")),
    "foods-french": ("found", lambda data: _french(data).some(20_000)),
    "products-anonymised": ("found", _anonymised),
    "foods-east-asian": ("tried", _foods(pl.col("product_name").str.contains(ASIAN))),
    "products-queried": ("tried", _queried),
    "gifts": ("tried", _gifts),
    "sports": ("found", lambda data: replace(_sports(data).some(6000), encoder="ngrams")),
    "films": ("tried", _films),
}
