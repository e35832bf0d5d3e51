"""Files as amazon-science/esci-data publishes them.

Products stand in groups of `GROUP`; a group's titles share three words that no other group has, and
the groups of a topic share two. A query names its group: its products are exact matches, those of
the next group of the topic substitutes, those of the next topic complements, others irrelevant.
"""

from pathlib import Path

import numpy as np
import polars as pl

__all__ = ["GROUP", "words", "write_esci"]

GROUP = 10  # products that a query of theirs means
TOPIC = 20  # groups of a topic
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
        _products(numbers, locale, draw).write_parquet(part)
        parts.append(part)
    pl.scan_parquet(parts).sink_parquet(paths[1])
    for part in parts:
        part.unlink()
    _examples(products, queries, locale, draw).write_parquet(paths[0])
    return paths[0], paths[1]


def _asins(numbers: np.ndarray) -> list[str]:
    return [f"B{number:09d}" for number in numbers]


def _products(numbers: np.ndarray, locale: str, draw: np.random.Generator) -> pl.DataFrame:
    group = numbers // GROUP
    parts = [words(3 * group + n, "g") for n in range(3)]
    parts += [words(2 * (group // TOPIC) + n, "t") for n in range(2)]
    noise = [words(draw.integers(500, size=len(numbers)), "n") for _ in range(4)]
    titles = pl.DataFrame([*parts, *noise]).select(pl.concat_str(pl.all(), separator=" "))
    return pl.DataFrame(
        {
            "product_id": _asins(numbers),
            "product_title": titles.to_series(),
            "product_description": words(draw.integers(500, size=len(numbers)), "n"),
            "product_bullet_point": words(draw.integers(500, size=len(numbers)), "n"),
            "product_brand": words(draw.integers(300, size=len(numbers)), "m"),
            "product_color": [("black", "white", None)[number % 3] for number in numbers],
            "product_locale": [locale] * len(numbers),
        },
        schema_overrides=dict.fromkeys(
            ("product_description", "product_bullet_point", "product_brand", "product_color"),
            pl.String,
        ),
    )


def _examples(products: int, queries: int, locale: str, draw: np.random.Generator) -> pl.DataFrame:
    groups = products // GROUP
    group = draw.permutation(max(groups, queries))[:queries] % groups
    asked = np.stack([words(3 * group + n, "g") for n in range(3)], axis=1)
    topic = words(2 * (group // TOPIC), "t")
    kept = draw.integers(3, size=queries)  # two of the group's three words, and one of the topic
    rows = []
    for number in range(queries):
        own, first = group[number], group[number] // TOPIC * TOPIC
        sibling = first + (own - first + 1) % TOPIC
        judged = {
            "E": own * GROUP + np.arange(GROUP),
            "S": sibling * GROUP + np.arange(3),
            "C": (first + TOPIC) * GROUP + np.arange(2),
            "I": draw.integers(products, size=2),
        }
        text = " ".join([topic[number], *np.delete(asked[number], kept[number])])
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
