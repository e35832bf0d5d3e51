"""Content texts to measure on: of the generated catalogue, and of Amazon Beauty."""

import os
from pathlib import Path

from data_prep.demo import demo_items
from data_prep.readers.amazon import read_category
from data_prep.storage.record import file_digest
from data_prep.text import TextTemplate

__all__ = ["beauty_texts", "demo_texts", "source_of_texts"]


METADATA = "meta_Beauty.json.gz"


def demo_texts(number: int) -> list[str]:
    """Return the texts of so many generated items."""
    return TextTemplate().render_all(demo_items(number).iter_rows(named=True))


def beauty_texts(number: int | None = None) -> list[str]:
    """Return the texts of Beauty's items, or of so many of them; none where SEMID_DATA is unset."""
    folder = _beauty()
    if folder is None:
        return []
    _, items = read_category(folder / "reviews_Beauty_5.json.gz", folder / METADATA)
    step = 1 if number is None else max(1, items.height // number)
    some = items.gather_every(step).head(number or items.height)
    return [text for row in some.iter_rows(named=True) if (text := TextTemplate().render(row))]


def source_of_texts() -> str:
    """Return the digest of Beauty's metadata, or "generated" where SEMID_DATA is unset."""
    folder = _beauty()
    return "generated" if folder is None else file_digest(folder / METADATA)


def _beauty() -> Path | None:
    data = os.environ.get("SEMID_DATA")
    return Path(data) / "amazon2014" / "Beauty" if data else None
