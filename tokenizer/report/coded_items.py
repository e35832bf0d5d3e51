"""The items of a report with their codes, and the sections that show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.ids.semantic_id import Codes
from tokenizer.report.html import chips, figure, item_list, section, table
from tokenizer.report.pictures import Line, draw_lines, draw_map, level_lines
from tokenizer.report.prefix_groups import PrefixGroup, prefix_groups, shared, spread
from tokenizer.training.health import level_health, unique_share

__all__ = [
    "CodedItems",
    "collisions_section",
    "map_section",
    "prefix_groups_section",
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
    """

    codes: Codes
    names: Sequence[str]
    error: float

    @classmethod
    def of(cls, ids: pl.DataFrame, items: pl.DataFrame | None) -> Self:
        """Read the codes from a table of IDs and the names from the catalogue.

        Args:
            ids: as `tokenizer.offline.id_table.read_ids` returns it.
            items: the Items table; None names items by their ids.

        Raises:
            InputError: the table is empty, or no item of it is in the catalogue.
        """
        if ids.is_empty():
            raise InputError("the table of IDs is empty; a report needs at least one item")
        names = ids["item_id"]
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
        return cls(
            np.asarray(ids["codes"].to_list(), dtype=np.uint16),
            [_shortened(name) for name in names.to_list()],
            float(ids["distortion"].to_numpy().mean(dtype=np.float64)),
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


def map_section(items: CodedItems, codebooks: NDArray[np.float64]) -> str:
    """Return the section with a map of the decoded latents on their two principal axes.

    Args:
        codebooks: (L, K, d) float64.
    """
    latents = codebooks[np.arange(len(codebooks)), items.codes.astype(np.int64)].sum(1)
    latents = np.pad(latents, ((0, 0), (0, max(0, 2 - latents.shape[1]))))
    centred = latents - latents.mean(0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes *= np.sign(axes[np.abs(axes).argmax(0), [0, 1]])  # an eigenvector's sign is arbitrary
    shares = (values[::-1][:2] / max(values.sum(), 1e-30)).tolist()
    picture = draw_map(centred @ axes, shares, items.codes[:, 0])
    return section(
        "Map of the latents",
        "The decoded latents on the two axes with the most variance. The most common first codes "
        "have a colour; the number of each is at the median of its items.",
        figure(picture, "Decoded latents on their two principal axes", kind="map"),
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


def prefix_groups_section(items: CodedItems) -> str:
    """Return the section with examples of items under shared prefixes."""
    parts = []
    for chain in prefix_groups(items.codes):
        columns = (_group(items, one, spread(one, items.codes, MAX_NAMES)) for one in chain)
        parts.append(f'<div class="columns">{"".join(columns)}</div>')
    lead = "No two items share a first code."
    if parts:
        lead = (
            "Each row starts with the items of a first code, and goes on with its most common "
            "longer prefixes, which should hold narrower kinds of items. The first codes are "
            "between the most common one and the median one."
        )
    return section("Items under shared prefixes", lead, *parts)


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
