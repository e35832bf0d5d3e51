"""Item row → content text, by one template that is stored with the tokenizer."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from data_prep.errors import InputError

__all__ = ["DEFAULT_FIELDS", "TextTemplate", "as_text", "text_fault"]

DEFAULT_FIELDS = ("title", "brand", "categories", "description")
WHOLE = "text"  # the field that is an item's content text as it stands
_SURROGATE = re.compile("[\ud800-\udfff]")


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

    def content(self, item: Mapping[str, Any]) -> str:
        """Return the text that an item is coded by: its fields, or its field `text` as it stands.

        Returns:
            The text; empty where the item has none.

        Raises:
            ValueError: it has both, and which of them counts would be a guess; or the text is one
                that `text_fault` refuses.
        """
        rendered, whole = self.render(item), item.get(WHOLE)
        if WHOLE in self.fields or whole is None:
            whole = ""
        if not isinstance(whole, str):
            whole = as_text(whole)
        if whole.strip() and rendered:
            raise ValueError(f"give {WHOLE}, or {', '.join(self.fields)}, not both")
        text = rendered or (whole if whole.strip() else "")
        if fault := text_fault(text):
            raise ValueError(f"the text {fault}")
        return text

    def render_all(self, items: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return the content text of each item.

        Raises:
            InputError: an item has none, or one that cannot be used; the message names the items.
        """
        wrong: dict[str, list[str]] = {}
        texts = [self._content_or_note(item, wrong) for item in items]
        self._refuse(wrong)
        return texts

    def check(self, items: Iterable[Mapping[str, Any]]) -> None:
        """See that each item has text, keeping no text.

        Raises:
            InputError: as `render_all`.
        """
        wrong: dict[str, list[str]] = {}
        for item in items:
            self._content_or_note(item, wrong)
        self._refuse(wrong)

    def _content_or_note(self, item: Mapping[str, Any], wrong: dict[str, list[str]]) -> str:
        """Return an item's text, or note the item under what is wrong with it."""
        try:
            text = self.content(item)
        except ValueError as error:
            text, fault = "", str(error)
        else:
            fault = f"no text in any of {', '.join(dict.fromkeys((*self.fields, WHOLE)))}"
        if not text:
            wrong.setdefault(fault, []).append(str(item.get("item_id")))
        return text

    def _refuse(self, wrong: Mapping[str, Sequence[str]]) -> None:
        for fault, item_ids in wrong.items():
            named = ", ".join(item_ids[:5])
            more = f" and {len(item_ids) - 5} more" if len(item_ids) > 5 else ""
            raise InputError(
                f"{fault}: {len(item_ids)} {'item' if len(item_ids) == 1 else 'items'}: "
                f"{named}{more}; correct their fields or leave them out"
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


def text_fault(text: str) -> str | None:
    """Return what is wrong with any text of an item, or None."""
    if "\0" in text:
        return "holds the character NUL, which no text needs"
    if not text.isascii() and _SURROGATE.search(text):
        return "holds half of a surrogate pair, which is no character"
    return None
