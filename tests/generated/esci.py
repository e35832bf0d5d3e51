"""Files as amazon-science/esci-data publishes them.

Products stand in groups of `GROUP`. A group has a kind, a make and a style, each a word of a short
list; texts name the kind thrice, the make and the style twice, and other words at random. A query
is the three words: its group's products are exact matches, those of the next style substitutes,
those of the next make complements, others irrelevant. No two queries name the same group while
there are groups enough, so that only what reads the words ranks the products of a test query.
"""

from pathlib import Path

import numpy as np
import polars as pl

__all__ = ["GROUP", "words", "write_esci"]

GROUP = 10  # products that a query of theirs means
SYLLABLES = ("ba", "co", "di", "fu", "ga", "he", "jo", "ki", "lu", "me", "no", "pi", "ra", "so")
AT_ONCE = 200_000  # products written at once


def words(numbers: np.ndarray, prefix: str) -> np.ndarray:
    """Return a word of syllables for each number; the prefix tells kinds of words apart."""
    spelt = np.full(len(numbers), prefix, dtype=object)
    left = numbers.astype(np.int64)
    for _ in range(6):
        spelt = spelt + np.asarray(SYLLABLES, dtype=object)[left % len(SYLLABLES)]
        left = left // len(SYLLABLES)
    return spelt


def write_esci(
    folder: Path, products: int = 2000, queries: int = 300, locale: str = "us", seed: int = 0
) -> tuple[Path, Path]:
    """Write both files, and return the examples' and the products' path."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    paths = tuple(
        folder / f"shopping_queries_dataset_{name}.parquet" for name in ("examples", "products")
    )
    parts = []
    for start in range(0, products, AT_ONCE):
        part = folder / f"part-{start:09}.parquet"
        numbers = np.arange(start, min(start + AT_ONCE, products))
        _products(numbers, products, locale, draw).write_parquet(part)
        parts.append(part)
    pl.scan_parquet(parts).sink_parquet(paths[1])
    for part in parts:
        part.unlink()
    _examples(products, queries, locale, draw).write_parquet(paths[0])
    return paths[0], paths[1]


def _asins(numbers: np.ndarray) -> list[str]:
    return [f"B{number:09d}" for number in numbers]


def _products(
    numbers: np.ndarray, products: int, locale: str, draw: np.random.Generator
) -> pl.DataFrame:
    kind, make, style = _attributes(numbers // GROUP, products // GROUP)

    def noise() -> np.ndarray:
        return words(draw.integers(500, size=len(numbers)), "n")

    def joined(*parts: np.ndarray) -> pl.Series:
        table = pl.DataFrame(dict(zip("abcdef", parts, strict=False)))
        return table.select(pl.concat_str(pl.all(), separator=" ")).to_series()

    return pl.DataFrame(
        {
            "product_id": _asins(numbers),
            "product_title": joined(kind, make, style, noise(), noise()),
            "product_description": joined(style, noise(), kind),
            "product_bullet_point": joined(make, noise(), kind),
            "product_brand": words(draw.integers(300, size=len(numbers)), "m"),
            "product_color": [("black", "white", None)[number % 3] for number in numbers],
            "product_locale": [locale] * len(numbers),
        },
        schema_overrides=dict.fromkeys(
            ("product_description", "product_bullet_point", "product_brand", "product_color"),
            pl.String,
        ),
    )


def _attributes(group: np.ndarray, groups: int) -> list[np.ndarray]:
    """Return the kind, the make and the style of each group, as words."""
    size = _list_length(groups)
    numbers = (group // size**2, group // size % size, group % size)
    return [words(each, letter) for each, letter in zip(numbers, "kas", strict=True)]


def _list_length(groups: int) -> int:
    """Return how many words a list of kinds, makes or styles has."""
    size = 1
    while size**3 < groups:
        size += 1
    return size


def _examples(products: int, queries: int, locale: str, draw: np.random.Generator) -> pl.DataFrame:
    groups = products // GROUP
    group = draw.permutation(max(groups, queries))[:queries] % groups
    asked = np.stack(_attributes(group, groups), axis=1)
    size = _list_length(groups)
    rows = []
    for number in range(queries):
        own = int(group[number])
        judged = {
            "E": own * GROUP + np.arange(GROUP),
            "S": (own + 1) % groups * GROUP + np.arange(3),
            "C": (own + size) % groups * GROUP + np.arange(2),
            "I": draw.integers(products, size=2),
        }
        text = " ".join(asked[number])
        split = "test" if number % 5 == 0 else "train"
        seen: set[int] = set()
        for label, members in judged.items():
            for product in (members % products).tolist():
                if product not in seen:
                    seen.add(product)
                    rows.append((text, number, product, label, number % 2, split))
    frame = pl.DataFrame(
        rows,
        schema=["query", "query_id", "product", "esci_label", "small_version", "split"],
        orient="row",
    )
    return frame.select(
        pl.int_range(pl.len()).alias("example_id"),
        "query",
        "query_id",
        pl.Series("product_id", _asins(frame["product"].to_numpy())),
        pl.lit(locale).alias("product_locale"),
        "esci_label",
        "small_version",
        pl.lit(1, pl.Int64).alias("large_version"),
        "split",
    )
