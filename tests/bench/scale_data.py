"""A catalogue of any size: real titles, and vectors that lie around those of real texts."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.demo import demo_items
from data_prep.embedding.encoders import load_encoder
from data_prep.text import TextTemplate

__all__ = ["DIMENSION", "titles_at_hand", "vectors_like_real", "write_catalogue"]

DIMENSION = 64
REAL = 20_000  # texts whose vectors the others lie around
GENERATED = 12_000  # titles, where there are no real ones
PART = 500_000
SPREAD = 0.5  # of a vector around its real one, in units of the real ones' spread


def titles_at_hand(data: Path | None) -> list[str]:
    """Return titles of Open Food Facts where its catalogue is at hand, else generated ones."""
    if data is None:
        return demo_items(GENERATED)["title"].to_list()
    table = pl.read_parquet(data / "openfoodfacts_catalogue" / "products.parquet")
    name = next(each for each in ("title", "product_name", "name") if each in table.columns)
    found = table[name].drop_nulls()
    control = found.str.contains(r"[\x00-\x1f\x7f-\x9f]")
    return found.filter((found.str.strip_chars() != "") & ~control).to_list()


def write_catalogue(folder: Path, rows: int, titles: list[str]) -> None:
    """Write items with titles and vectors (rows, 64) as parts of a folder, the same each time."""
    folder.mkdir(parents=True, exist_ok=True)
    first = 0
    for number, vectors in enumerate(vectors_like_real(rows, titles)):
        count = len(vectors)
        place = folder / f"part-{number:03}.parquet"
        pl.DataFrame(
            {
                "item_id": [f"i{row:09}" for row in range(first, first + count)],
                "title": [titles[(first + row) % len(titles)] for row in range(count)],
                "vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, DIMENSION)),
            }
        ).write_parquet(place, compression="uncompressed", row_group_size=100_000)
        first += count


def vectors_like_real(rows: int, titles: list[str]) -> Iterator[NDArray[np.float32]]:
    """Yield vectors (rows, 64) around those of real titles, in parts, the same each time."""
    real = _real_vectors(titles)
    spread = SPREAD * float(real.std())
    for number, first in enumerate(range(0, rows, PART)):
        count = min(PART, rows - first)
        rng = np.random.default_rng([number, 19])
        chosen = rng.integers(0, len(real), count)
        noise = rng.standard_normal((count, DIMENSION), np.float32)
        yield real[chosen] + spread * noise


def _real_vectors(titles: list[str]) -> NDArray[np.float32]:
    """Return vectors of some real titles on their principal axes."""
    some = titles[:: max(1, len(titles) // REAL)][:REAL]
    encoder = load_encoder("hashing")
    vectors = encoder.encode([TextTemplate().render({"title": title}) for title in some], 1)
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    kept: NDArray[np.float32] = (centred @ axes[:, -DIMENSION:]).astype(np.float32)
    return kept
