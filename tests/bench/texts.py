"""Content texts to measure on: of the generated catalogue, and of Amazon Beauty."""

import os
from pathlib import Path

from data_prep.demo import demo_items
from data_prep.readers.amazon import read_category
from data_prep.text import TextTemplate

__all__ = ["beauty_texts", "demo_texts"]


def demo_texts(number: int) -> list[str]:
    """Return the texts of so many generated items."""
    return TextTemplate().render_all(demo_items(number).iter_rows(named=True))


def beauty_texts(number: int | None = None) -> list[str]:
    """Return the texts of Beauty's items, or of so many of them; none where SEMID_DATA is unset."""
    if "SEMID_DATA" not in os.environ:
        return []
    folder = Path(os.environ["SEMID_DATA"]) / "amazon2014" / "Beauty"
    _, items = read_category(folder / "reviews_Beauty_5.json.gz", folder / "meta_Beauty.json.gz")
    step = 1 if number is None else max(1, items.height // number)
    some = items.gather_every(step).head(number or items.height)
    return [text for row in some.iter_rows(named=True) if (text := TextTemplate().render(row))]
