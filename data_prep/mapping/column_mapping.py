"""Which columns of a file are which fields of an item; the mapping is part of the tokenizer."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from data_prep.errors import InputError
from data_prep.values.item_rules import TITLE_CONTROLS, category_path

__all__ = ["CATEGORY_SEPARATOR", "ColumnMapping", "ControlCharacters", "Dedupe", "check_columns"]

CATEGORY_SEPARATOR = ">"
Dedupe = Literal["refuse", "first", "longest"]
ControlCharacters = Literal["refuse", "blank"]
_CONTROLS = re.compile(TITLE_CONTROLS)


class ColumnMapping(BaseModel):
    """How rows of a file become items, the same for files and for requests.

    Attributes:
        columns: our field → the file's column, where the two differ.
        category_separator: splits `categories` if a row has them as one text.
        path_separator: stands between several paths in that text, of which the first is taken;
            empty if a text has one path. A backslash before it makes it part of a name.
        drop: columns that are left out.
        dedupe: what is done with rows that share an item_id: `refuse` them, or keep the `first`
            one, or the one with the `longest` text.
        skip_empty: whether items without text are left out, instead of refused.
        control_characters: what is done with control characters in texts: `refuse` those that a
            title may not have, or put a `blank` for each. Ids never change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, str] = {}
    category_separator: str = CATEGORY_SEPARATOR
    path_separator: str = ""
    drop: tuple[str, ...] = ()
    dedupe: Dedupe = "refuse"
    skip_empty: bool = False
    control_characters: ControlCharacters = "refuse"

    @property
    def plain(self) -> bool:
        """Whether it changes nothing."""
        return self == ColumnMapping()

    def changed(
        self,
        columns: Mapping[str, str],
        drop: Sequence[str] = (),
        category_separator: str | None = None,
        dedupe: Dedupe | None = None,
        *,
        skip_empty: bool = False,
        control_characters: ControlCharacters | None = None,
    ) -> "ColumnMapping":
        """Return the mapping with what a user asks for; None and empty values change nothing."""
        left = {
            ours: theirs
            for ours, theirs in self.columns.items()
            if theirs not in columns.values() and theirs not in drop
        }
        update: dict[str, Any] = {"columns": {**left, **columns}}
        if drop:
            update["drop"] = tuple(dict.fromkeys((*self.drop, *drop)))
        if category_separator is not None:
            update |= {"category_separator": category_separator, "path_separator": ""}
        if dedupe is not None:
            update["dedupe"] = dedupe
        if skip_empty:
            update["skip_empty"] = True
        if control_characters is not None:
            update["control_characters"] = control_characters
        return self.model_copy(update=update)

    def frame(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a table with our names; where it lacks one of theirs, our own column stays."""
        given = [name for name in frame.columns if name not in self.drop]
        there = {ours: theirs for ours, theirs in self.columns.items() if theirs in given}
        taken = {*there, *there.values()}
        named = frame.select(
            *(pl.col(theirs).alias(ours) for ours, theirs in there.items()),
            *(name for name in given if name not in taken),
        )
        if self.control_characters == "refuse":
            return named
        return named.with_columns(
            _without_controls(column) for column in named if column.name != "item_id"
        )

    def reads(self, names: frozenset[str]) -> bool:
        """Return whether a row with only these names is changed."""
        if self.control_characters == "blank":
            return True
        return not names.isdisjoint((*self.columns.values(), *self.drop))

    def row(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return one item with our names, as `frame` does; categories as one text are split."""
        given = {name: value for name, value in item.items() if name not in self.drop}
        there = {ours: theirs for ours, theirs in self.columns.items() if theirs in given}
        taken = {*there, *there.values()}
        named = {name: value for name, value in given.items() if name not in taken}
        named |= {ours: given[theirs] for ours, theirs in there.items()}
        if self.control_characters == "blank":
            named |= {name: _blanked(text) for name, text in named.items() if name != "item_id"}
        if isinstance(text := named.get("categories"), str):
            try:
                named["categories"] = self.categories(text)
            except ValueError:
                return named
        return named

    def categories(self, value: object) -> list[str | None] | None:
        """Return one path of categories.

        Raises:
            ValueError: as `data_prep.values.item_rules.category_path`.
        """
        mark = self.path_separator
        if mark and isinstance(value, str):
            value = re.split(rf"(?<!\\){re.escape(mark)}", value)[0].replace(f"\\{mark}", mark)
        return category_path(value, self.category_separator)


def check_columns(
    given: Collection[str], columns: Mapping[str, str], drop: Sequence[str], name: str
) -> None:
    """Check that a file has the columns that a user names.

    Args:
        given: the file's columns.
        columns: our field → the file's column.
        drop: columns to leave out.
        name: name of the file in error messages.

    Raises:
        InputError: the file lacks one of them.
    """
    for ours, theirs in columns.items():
        if theirs not in given:
            raise InputError(
                f"{name}: no column {theirs!r} to read as {ours!r}; it has {', '.join(given)}"
            )
    for each in drop:
        if each not in given:
            raise InputError(f"{name}: no column {each!r} to drop; it has {', '.join(given)}")


def _without_controls(column: pl.Series) -> pl.Series:
    """Return a column whose texts have blanks for control characters."""
    if column.dtype == pl.String:
        return column.str.replace_all(TITLE_CONTROLS, " ")
    if column.dtype != pl.Object:
        return column
    values = [_blanked(value) for value in column.to_list()]
    return pl.Series(column.name, values, dtype=pl.Object)


def _blanked(value: Any) -> Any:
    return _CONTROLS.sub(" ", value) if isinstance(value, str) else value
