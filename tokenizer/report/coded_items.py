"""The items of a report with their codes, and the sections that show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.ids.semantic_id import Codes, format_semantic_id
from tokenizer.report.html import chips, figure, item_list, section, table
from tokenizer.report.pictures import Line, draw_lines, level_lines
from tokenizer.report.prefix_groups import PrefixGroup, shared
from tokenizer.training.health import level_health, unique_share

__all__ = [
    "CodedItems",
    "collisions_section",
    "usage_section",
]

MAX_COLLISIONS = 12
MAX_NAMES = 6
MAX_NAME_LENGTH = 140


@dataclass(frozen=True)
class CodedItems:
    """Items with the codes that a tokenizer gave them.

    Attributes:
        codes: (n, L) uint16, n ≥ 1.
        names: (n,) titles; the item id of an item without a title.
        error: mean distortion of the items, which is their relative error.
        item_ids: (n,).
        titles: (n,); None for an item without a title.
        directions: (n, D), the items' vectors, each of length 1, or NaN for one that is not known;
            None if none is known.
    """

    codes: Codes
    names: Sequence[str]
    error: float
    item_ids: Sequence[str]
    titles: Sequence[str | None]
    directions: NDArray[np.float32] | None = None

    def written(self, row: int) -> str:
        """Return the codes of an item as text."""
        return format_semantic_id(self.codes[row].tolist())

    @classmethod
    def of(
        cls,
        ids: pl.DataFrame,
        items: pl.DataFrame | None,
        directions: NDArray[np.float32] | None = None,
    ) -> Self:
        """Read the codes from a table of IDs and the names from the catalogue.

        Args:
            ids: as `tokenizer.offline.id_table.read_ids` returns it.
            items: the Items table; None names items by their ids.
            directions: the items' vectors, as the attribute.

        Raises:
            InputError: the table is empty, or no item of it is in the catalogue.
        """
        if ids.is_empty():
            raise InputError("the table of IDs is empty; a report needs at least one item")
        names, titles = ids["item_id"], pl.Series([None] * ids.height, dtype=pl.String())
        if items is not None:
            if not names.is_in(items["item_id"].implode()).any():
                raise InputError(
                    f"no item of the IDs is in the catalogue, which starts with "
                    f"{items['item_id'][0]!r}, while the IDs start with {names[0]!r}; give the "
                    f"catalogue that the IDs were made from"
                )
            titled = ids.select("item_id").join(
                items.select("item_id", "title"), on="item_id", how="left", maintain_order="left"
            )
            blank = titled["title"].fill_null("").str.strip_chars() == ""
            names = titled["item_id"].zip_with(blank, titled["title"])
            titles = titled["title"]
        return cls(
            np.asarray(ids["codes"].to_list(), dtype=np.uint16),
            [_shortened(name) for name in names.to_list()],
            float(ids["distortion"].to_numpy().mean(dtype=np.float64)),
            ids["item_id"].to_list(),
            titles.to_list(),
            directions,
        )


def usage_section(items: CodedItems, size: int) -> str:
    """Return the section on how often each code is used."""
    codes = torch.tensor(items.codes.astype(np.int64))
    counts = np.stack([np.bincount(level, minlength=size) for level in codes.T.numpy()])
    lines = level_lines(np.sort(counts, axis=1)[:, ::-1])
    lines.append(Line("even use", [1, size], [len(codes) / size] * 2, None))
    headings = ("level", "utilization", "dead codes", "perplexity", "most used code")
    rows = [
        (
            number,
            f"{level.utilization:.1%}",
            level.dead_codes,
            f"{level.perplexity:.1f}",
            f"{used.argmax()} ({used.max():,} items)",
        )
        for number, (level, used) in enumerate(
            zip(level_health(codes, size), counts, strict=True), start=1
        )
    ]
    return section(
        "Use of the codes",
        f"Measured on the {len(codes):,} items of this report. Their error is {items.error:.3f}; "
        f"{unique_share(codes):.2%} have unique codes.",
        '<div class="columns">',
        figure(
            draw_lines(lines, "items with the code", "codes, most used first", log=True),
            "Items of each code; a line ends at the last used code of its level",
        ),
        f'<div class="wide">{table(headings, rows)}</div>',
        "</div>",
    )


def collisions_section(items: CodedItems) -> str:
    """Return the section on the largest groups of items with equal codes."""
    groups = shared(items.codes)
    if not groups:
        return section("Collisions", "No two items have the same codes.")
    involved = sum(len(group.rows) for group in groups)
    parts = [_group(items, group, group.rows) for group in groups[:MAX_COLLISIONS]]
    return section(
        "Collisions",
        f"{involved:,} items share all their codes with another item, in {len(groups):,} groups; "
        f"suffixes tell their IDs apart. The largest groups:",
        '<div class="columns">',
        *parts,
        "</div>",
    )


def _group(items: CodedItems, group: PrefixGroup, rows: NDArray[np.intp]) -> str:
    """Return a group's prefix, size and the names of some of its items, as HTML."""
    names = [items.names[row] for row in rows[:MAX_NAMES]]
    count = len(group.rows)
    return (
        f'<div class="family">{chips(group.prefix)}<span class="dim">{count:,} items</span>'
        f"{item_list(names, count - len(names))}</div>"
    )


def _shortened(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…"
