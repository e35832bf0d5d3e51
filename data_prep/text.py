"""Item row → content text, by one template that is stored with the tokenizer."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from data_prep.errors import InputError

__all__ = ["DEFAULT_FIELDS", "TextTemplate", "as_text"]

DEFAULT_FIELDS = ("title", "brand", "categories", "description")


class TextTemplate(BaseModel):
    """Which fields of an item make its content text, and in which order.

    The first field stands bare, each further one behind its name:
    `"Rose Hand Cream. Brand: Avila. Categories: Beauty > Skin Care."` Empty fields leave nothing.
    """

    model_config = ConfigDict(frozen=True)

    fields: tuple[str, ...] = Field(default=DEFAULT_FIELDS, min_length=1)

    @classmethod
    def of(cls, fields: Sequence[str], columns: Sequence[str]) -> Self:
        """Make the template of some fields of a table.

        Raises:
            InputError: the table has no column for one of them.
        """
        unknown = [name for name in fields if name not in columns]
        if unknown:
            raise InputError(
                f"the text is to have field {unknown[0]!r}, which the catalogue does not have; it "
                f"has {', '.join(columns)}"
            )
        return cls(fields=tuple(fields))

    def render(self, item: Mapping[str, Any]) -> str:
        """Return the content text of one item; empty where none of the fields has text."""
        parts = []
        for position, name in enumerate(self.fields):
            text = as_text(item.get(name))
            if text:
                parts.append(text if position == 0 else f"{name.capitalize()}: {text}")
        return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts)

    def render_all(self, items: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return the content text of each item.

        Raises:
            InputError: an item has text in none of the fields; the message names the items.
        """
        named = [(item.get("item_id"), self.render(item)) for item in items]
        self._refuse([str(item_id) for item_id, text in named if not text])
        return [text for _, text in named]

    def check(self, items: Iterable[Mapping[str, Any]]) -> None:
        """See that each item has text, keeping no text.

        Raises:
            InputError: as `render_all`.
        """
        self._refuse([str(item.get("item_id")) for item in items if not self.render(item)])

    def _refuse(self, without: Sequence[str]) -> None:
        if without:
            raise InputError(self._no_text(without))

    def _no_text(self, item_ids: Sequence[str]) -> str:
        named = ", ".join(item_ids[:5])
        more = f" and {len(item_ids) - 5} more" if len(item_ids) > 5 else ""
        return (
            f"no text in any of {', '.join(self.fields)} for {len(item_ids)} "
            f"{'item' if len(item_ids) == 1 else 'items'}: {named}{more}; give them one of these "
            f"fields or leave them out"
        )


def as_text(value: object) -> str:
    """Return the text of a field: of a list, or a struct, the texts in it, joined by " > "."""
    texts: list[str] = []
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str):
            texts.append(" ".join(part.split()))
        elif isinstance(part, Mapping):
            left.extend(reversed(list(part.values())))
        elif isinstance(part, Sequence):
            left.extend(reversed(part))
        elif part is not None:
            texts.append(str(part))
    return " > ".join(filter(None, texts))
