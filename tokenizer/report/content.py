"""The section on the items' fields and texts."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from data_prep.profile.texts import TextProfile, profile_texts
from data_prep.text import as_text
from tokenizer.pipeline import Pipeline
from tokenizer.report.html import item_list, section, table, tiles

__all__ = ["Content", "content_of", "content_section"]

LONGEST = 80


@dataclass(frozen=True)
class Field:
    """A field of the items, how full it is, and one of its values."""

    name: str
    filled: float
    distinct: int
    example: str


@dataclass(frozen=True)
class Content:
    """What the items hold.

    Attributes:
        text_fields: the fields that make the text.
        texts: what the encoder reads of the texts; None for items given as vectors.
    """

    fields: tuple[Field, ...]
    text_fields: tuple[str, ...]
    texts: TextProfile | None


def content_of(items: pl.DataFrame, pipeline: Pipeline) -> Content:
    """Describe the fields of an Items table, and what the tokenizer's encoder reads of it."""
    fields = []
    for name in items.columns:
        if name in {"item_id", "vector"}:
            continue
        texts = [text for text in map(as_text, items[name].to_list()) if text]
        filled, distinct = len(texts) / max(1, items.height), len(set(texts))
        fields.append(Field(name, filled, distinct, texts[0][:LONGEST] if texts else ""))
    profile = None
    if pipeline.encoder is not None and "vector" not in items.columns:
        given = list(pipeline.texts_of_some(items.iter_rows(named=True)).values())
        profile = profile_texts(given, pipeline.encoder) if given else None
    return Content(tuple(fields), tuple(pipeline.config.text.fields), profile)


def content_section(content: Content) -> str:
    """Return the section on fields and texts."""
    rows: list[tuple[Any, ...]] = [
        (f.name, f"{f.filled:.1%}", f"{f.distinct:,}", f.example) for f in content.fields
    ]
    parts = [table(("field", "filled", "distinct", "example"), rows, words=True)]
    if content.texts is not None:
        texts = content.texts
        parts += [
            f"<h3>Texts, of the fields {', '.join(content.text_fields)}</h3>",
            tiles(
                {
                    "tokens of a text": f"{texts.tokens:.0f}",
                    "unknown tokens ([UNK])": f"{texts.unknown:.1%}",
                    "texts cut at the limit": f"{texts.cut:.1%}",
                    "items with another's text": f"{texts.identical_items:,}",
                }
            ),
            "<h3>As the encoder reads them</h3>",
            item_list(texts.shown, 0),
        ]
    return section("Fields and texts", "What the catalogue of this report holds.", *parts)
