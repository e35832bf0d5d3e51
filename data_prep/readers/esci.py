"""Amazon's Shopping Queries data set, ESCI (Reddy et al., arXiv 2206.06588): queries and products.

The published files are `shopping_queries_dataset_examples.parquet` and `…_products.parquet`, joined
by (product_locale, product_id). A mirror has both in one table, with the labels as words. Products
are streamed, so that memory does not grow with their texts.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from data_prep.errors import InputError
from data_prep.names import check_name
from data_prep.readers.csv_files import read_csv
from data_prep.readers.published import AS_PUBLISHED, published_file, scan_published

__all__ = ["GAINS", "LABELS", "LOCALES", "POSITIVE", "VERSIONS", "EsciCounts", "prepare_esci"]

LOCALES = ("us", "es", "jp")
VERSIONS = ("small", "large")
# The gains of graded NDCG, as the data set's authors use them.
GAINS = {"E": 1.0, "S": 0.1, "C": 0.01, "I": 0.0}
LABELS = {
    "Exact": "E",
    "Substitute": "S",
    "Complement": "C",
    "Irrelevant": "I",
} | {letter: letter for letter in GAINS}
POSITIVE = {"E": ("E",), "ES": ("E", "S")}
EXAMPLES = ("query", "query_id", "product_id", "product_locale", "esci_label")
TEXTS = {
    "product_title": "title",
    "product_brand": "brand",
    "product_description": "description",
    "product_color": "color",
    "product_bullet_point": "bullet_points",
}
PRODUCTS = ("product_id", "product_locale", *TEXTS)
# Queries and judgements of all locales, as published.
PUBLISHED = {"small": (48_300, 1_118_011), "large": (130_652, 2_621_288)}
PUBLISHED_PRODUCTS = {"us": 1_215_851, "jp": 339_059}


@dataclass(frozen=True)
class EsciCounts:
    """What was read, of the chosen locale and version.

    Attributes:
        items: products of the locale, all of which are ranked.
        items_without_text: products without a title, description, bullet point, brand and color.
        queries, judgements: by split, in `queries.parquet`.
        without_positive: by split, queries without a positive judgement.
        without_split: judgements without a split; they are taken for training.
        without_product: judgements whose product is not among the products; they are left out.
        queries_in_file, judgements_in_file: of the version, in all locales.
        published: queries and judgements of the version as published; None for a mirror.
        published_items: products of the locale as published, where known.
    """

    items: int
    items_without_text: int
    queries: dict[str, int]
    judgements: dict[str, int]
    without_positive: dict[str, int]
    without_split: int
    without_product: int
    queries_in_file: int
    judgements_in_file: int
    published: tuple[int, int]
    published_items: int | None

    def told(self) -> list[str]:
        """Return a line for each thing that a user should know."""
        lines = []
        found = (self.queries_in_file, self.judgements_in_file)
        if found != self.published:
            lines.append(
                f"the file has {found[0]:,} of {self.published[0]:,} published queries and "
                f"{found[1]:,} of {self.published[1]:,} judgements"
            )
        if self.published_items not in (None, self.items):
            lines.append(
                f"{self.items:,} of {self.published_items:,} published products of the locale"
            )
        for split, count in self.without_positive.items():
            if count:
                kept = "they train nothing" if split == "train" else "they are not measured"
                lines.append(f"{count:,} {split} queries have no positive product; {kept}")
        if self.without_split:
            lines.append(f"{self.without_split:,} judgements have no split; taken for training")
        if self.without_product:
            lines.append(
                f"left out: {self.without_product:,} judgements of products that are not in the "
                f"file of products"
            )
        if self.items_without_text:
            lines.append(f"{self.items_without_text:,} products have no text")
        return lines

    def plain(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return asdict(self)


def prepare_esci(
    examples: Sequence[Path],
    products: Sequence[Path],
    folder: Path,
    locale: str = "us",
    version: str = "large",
    positive: str = "E",
    validation: float = 0.05,
    sources: Path | None = None,
) -> EsciCounts:
    """Write items.parquet and queries.parquet to a folder.

    Items are all products of the locale, in the file's order. Queries are the judgements of the
    version: `label` is the gain, `positive` whether the label counts as a match. A share of the
    training queries, chosen by the digest of their ids, is for validation.

    Args:
        examples: the published file, or the parts of the joined mirror.
        products: the published file; empty if `examples` has the products' texts too.
        positive: `E`, or `ES` for exact matches and substitutes.
        validation: share of the training queries.
        sources: the published CSV file with the source of each query, or None.

    Raises:
        InputError: a file is not as published; a label, locale or split is unknown; a product or
            judgement occurs twice; or nothing is left.
    """
    for what, given, names in (
        ("locale", locale, LOCALES),
        ("version", version, VERSIONS),
        ("positive", positive, tuple(POSITIVE)),
    ):
        check_name(what, given, names)
    judged, in_file = _judgements(examples, locale, version)
    items = _write_items(products or examples, folder, locale, joined=not products)
    queries = _with_splits(judged, validation)
    known = queries.join(items.select("item_id"), on="item_id", how="semi", maintain_order="left")
    if known.is_empty():
        raise InputError(
            f"no judged product is among the {items.height:,} products of locale {locale}; give "
            f"the examples and the products of one data set"
        )
    known = known.with_columns(positive=pl.col("esci_label").is_in(POSITIVE[positive]))
    if sources is not None:
        known = known.join(_sources(sources), on="query_id", how="left", maintain_order="left")
    known.write_parquet(folder / "queries.parquet")
    of_queries = known.group_by("query_id", maintain_order=True).agg(
        pl.col("split").first(), pl.col("positive").any()
    )
    splits = ("train", "validation", "test")

    def counted(frame: pl.DataFrame) -> dict[str, int]:
        return {split: frame.filter(pl.col("split") == split).height for split in splits}

    return EsciCounts(
        items=items.height,
        items_without_text=int(items["without_text"].sum()),
        queries=counted(of_queries),
        judgements=counted(known),
        without_positive=counted(of_queries.filter(~pl.col("positive"))),
        without_split=judged["split"].null_count(),
        without_product=queries.height - known.height,
        queries_in_file=in_file[0],
        judgements_in_file=in_file[1],
        published=PUBLISHED[version],
        published_items=PUBLISHED_PRODUCTS.get(locale),
    )


def _judgements(
    paths: Sequence[Path], locale: str, version: str
) -> tuple[pl.DataFrame, tuple[int, int]]:
    """Return the judgements of a locale, and how many queries and judgements all locales have."""
    of_version = f"{version}_version"
    frame = scan_published(paths, [*EXAMPLES, of_version, "split"]).collect()
    name = ", ".join(path.name for path in paths)
    empty = frame.select(pl.col(column).is_null().any() for column in EXAMPLES)
    for column in EXAMPLES:
        if empty[column][0]:
            row = frame[column].is_null().arg_true()[0] + 1
            raise InputError(f"{name}, row {row}: no {column}; correct the file")
    for column, known in (
        ("esci_label", tuple(LABELS)),
        ("product_locale", LOCALES),
        (of_version, ("0", "1")),
        ("split", ("train", "test")),
    ):
        wrong = frame[column].is_not_null() & ~frame[column].is_in(known)
        if wrong.any():
            row = wrong.arg_true()[0]
            raise InputError(
                f"{name}, row {row + 1}: {column} {frame[column][row]!r} is unknown; known are "
                f"{', '.join(known)}"
            )
    chosen = frame.filter(pl.col(of_version) == "1")
    of_locale = chosen.filter(pl.col("product_locale") == locale)
    if of_locale.is_empty():
        held = ", ".join(sorted(chosen["product_locale"].unique()))
        raise InputError(
            f"{name} has no judgement of locale {locale} in the {version} version; it has "
            f"{held or 'none of any locale'}"
        )
    twice = of_locale.select("query_id", "product_id").is_duplicated()
    if twice.any():
        at = of_locale.filter(twice)
        raise InputError(
            f"{name}: query {at['query_id'][0]} judges product {at['product_id'][0]} twice; keep "
            f"one judgement"
        )
    judged = of_locale.select(
        "query_id",
        "query",
        user_id=pl.lit(None, pl.String),
        item_id="product_id",
        label=pl.col("esci_label").replace_strict(_gains(), return_dtype=pl.Float32),
        split="split",
        esci_label=pl.col("esci_label").replace_strict(LABELS, return_dtype=pl.String),
    )
    return judged, (chosen["query_id"].n_unique(), chosen.height)


def _gains() -> dict[str, float]:
    return {word: GAINS[letter] for word, letter in LABELS.items()}


def _write_items(paths: Sequence[Path], folder: Path, locale: str, *, joined: bool) -> pl.DataFrame:
    """Write items.parquet; return each item's id and whether it has no text.

    Args:
        joined: whether a row is a judgement with its product, so that products come again.
    """
    remedy = (
        "give the file of products too, or a mirror that joins both" if joined else AS_PUBLISHED
    )
    scanned = scan_published(paths, PRODUCTS, remedy).filter(pl.col("product_locale") == locale)
    empty = pl.all_horizontal(
        pl.col(name).is_null() | (pl.col(name).str.strip_chars() == "") for name in TEXTS
    )
    try:
        found = scanned.select(item_id="product_id", without_text=empty).collect()
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{paths[0]} cannot be read to its end: {reason}") from error
    name = ", ".join(path.name for path in paths)
    if found["item_id"].null_count():
        raise InputError(
            f"{name}: a product of locale {locale} has no product_id; correct the file"
        )
    repeated = found["item_id"].is_duplicated()
    if repeated.any() and not joined:
        raise InputError(
            f"{name}: product {found['item_id'].filter(repeated)[0]!r} of locale {locale} occurs "
            f"twice; {repeated.sum():,} rows share their (locale, id); keep one row a product"
        )
    if found.is_empty():
        raise InputError(f"{name} has no product of locale {locale}; give another --locale")
    items = scanned.select(
        pl.col("product_id").alias("item_id"),
        *(pl.col(theirs).alias(ours) for theirs, ours in TEXTS.items()),
    )
    if joined:
        items = items.unique("item_id", keep="first", maintain_order=True)
        found = found.unique("item_id", keep="first", maintain_order=True)
    items.sink_parquet(folder / "items.parquet")
    return found


def _with_splits(judged: pl.DataFrame, share: float) -> pl.DataFrame:
    """Move a share of the training queries to `validation`; a missing split is `train`."""
    split = pl.col("split").fill_null("train")
    queries = judged.select("query_id", split=split).unique("query_id", maintain_order=True)
    trains = queries.filter(pl.col("split") == "train")["query_id"]
    drawn = [query_id for query_id in trains if _position(query_id) < share]
    chosen = pl.col("query_id").is_in(drawn) & (split == "train")
    return judged.with_columns(split=pl.when(chosen).then(pl.lit("validation")).otherwise(split))


def _position(query_id: str) -> float:
    """Return a number from 0 to 1 that a digest of the id gives, the same on every machine."""
    digest = hashlib.sha256(query_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _sources(path: Path) -> pl.DataFrame:
    frame = read_csv(published_file(path), "utf-8", ",").frame
    missing = {"query_id", "source"}.difference(frame.columns)
    if missing:
        raise InputError(
            f"{path}: no column {min(missing)!r}; it has {', '.join(frame.columns)}; give "
            f"shopping_queries_dataset_sources.csv"
        )
    return frame.select("query_id", "source").unique("query_id", maintain_order=True)
