"""Item row → content text, by one template that is stored with the tokenizer."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from data_prep.errors import InputError
from data_prep.markup import plain_text

__all__ = ["DEFAULT_FIELDS", "TextTemplate", "as_text", "text_fault"]

DEFAULT_FIELDS = ("title", "brand", "categories", "description")
TEXT_FIELD = "text"  # a field that is the whole content text of its item
_SURROGATE = re.compile("[\ud800-\udfff]")


class TextTemplate(BaseModel):
    """Which fields of an item make its content text, and in which order.

    The first field has no label; each further field follows its name:
    `"Rose Hand Cream. Brand: Avila. Categories: Beauty > Skin Care."` Empty fields are left out.

    Attributes:
        markup: `strip` takes HTML tags and entities out of the fields, `keep` leaves them. A field
            `text` stays as it is.
    """

    model_config = ConfigDict(frozen=True)

    fields: tuple[str, ...] = Field(default=DEFAULT_FIELDS, min_length=1)
    markup: Literal["keep", "strip"] = "keep"  # as tokenizers of before this field were fitted

    @classmethod
    def of(cls, fields: Sequence[str], columns: Sequence[str]) -> Self:
        """Make the template of some fields of a table, without their HTML.

        Raises:
            InputError: the table has no column for one of them.
        """
        unknown = [name for name in fields if name not in columns]
        if unknown:
            raise InputError(
                f"the text needs field {unknown[0]!r}, which the catalogue does not have; it has "
                f"{', '.join(columns)}"
            )
        return cls(fields=tuple(fields), markup="strip")

    def render(self, item: Mapping[str, Any]) -> str:
        """Return the content text of one item; empty if none of the fields has text."""
        parts = []
        for position, name in enumerate(self.fields):
            text = as_text(item.get(name))
            if self.markup == "strip" and ("<" in text or "&" in text):
                text = " ".join(plain_text(text).split())
            if text:
                parts.append(text if position == 0 else f"{name.capitalize()}: {text}")
        return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts)

    def content(self, item: Mapping[str, Any]) -> str:
        """Return the text of an item: its fields in the template, or its field `text` unchanged.

        Returns:
            The text; empty if the item has none.

        Raises:
            ValueError: the item has both, so that either could be meant; or `text_fault` finds a
                fault.
        """
        rendered, whole = self.render(item), item.get(TEXT_FIELD)
        if TEXT_FIELD in self.fields or whole is None:
            whole = ""
        if not isinstance(whole, str):
            whole = as_text(whole)
        if whole.strip() and rendered:
            raise ValueError(f"give {TEXT_FIELD}, or {', '.join(self.fields)}, not both")
        text = rendered or (whole if whole.strip() else "")
        if fault := text_fault(text):
            raise ValueError(f"the text {fault}")
        return text

    def render_all(self, items: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return the content text of each item.

        Raises:
            InputError: an item has no text or an invalid one; the message names the items.
        """
        wrong: dict[str, list[str]] = {}
        texts = [self._content_or_note(item, wrong) for item in items]
        self._refuse(wrong)
        return texts

    def check(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Check that each item has a valid text, without keeping the texts.

        Raises:
            InputError: as `render_all`.
        """
        wrong: dict[str, list[str]] = {}
        for item in items:
            self._content_or_note(item, wrong)
        self._refuse(wrong)

    def _content_or_note(self, item: Mapping[str, Any], wrong: dict[str, list[str]]) -> str:
        """Return an item's text; if it has a fault, add the item to `wrong` under this fault."""
        try:
            text = self.content(item)
        except ValueError as error:
            text, fault = "", str(error)
        else:
            fault = f"no text in any of {', '.join(dict.fromkeys((*self.fields, TEXT_FIELD)))}"
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
    """Return the text of a field; the texts in a list or a struct are joined by " > "."""
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
    """Return the fault of an item's text; None if it is valid."""
    if "\0" in text:
        return "holds the character NUL, which is not allowed"
    if not text.isascii() and _SURROGATE.search(text):
        return "holds half of a surrogate pair, which is not a character"
    return None
