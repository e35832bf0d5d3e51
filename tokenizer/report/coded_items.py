"""Items with the codes that a tokenizer gave them, and what a report shows of them."""

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

MOST_COLLISIONS = 12
MOST_NAMES = 6
LONGEST_NAME = 140


@dataclass(frozen=True)
class CodedItems:
    """Items with the codes that a tokenizer gave them.

    Attributes:
        codes: (n, L), n ≥ 1.
        names: (n,) titles, or item ids where there is none.
        error: mean distortion, which is the relative error over these items.
    """

    codes: Codes
    names: Sequence[str]
    error: float

    @classmethod
    def of(cls, ids: pl.DataFrame, items: pl.DataFrame | None) -> Self:
        """Name the items of a table of IDs by the catalogue's titles.

        Args:
            ids: as `tokenizer.offline.id_table.read_ids` returns it.
            items: the Items table; without it items go by their ids.

        Raises:
            InputError: the table is empty, or no item of it is in the catalogue.
        """
        if ids.is_empty():
            raise InputError("the table of IDs is empty; a report needs at least one item")
        names = ids["item_id"]
        if items is not None:
            if not names.is_in(items["item_id"].implode()).any():
                raise InputError(
                    f"the catalogue has no item of the IDs: its first is {items['item_id'][0]!r}, "
                    f"theirs {names[0]!r}; give the catalogue that the IDs were made of"
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
    """Show how often each code is used."""
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
        f"By the {len(codes):,} items of this report, whose error is {items.error:.3f}; "
        f"{unique_share(codes):.2%} have codes of their own.",
        '<div class="columns">',
        figure(
            draw_lines(lines, "items with the code", "codes, most used first", log=True),
            "Items of each code; a line ends at its level's last code in use",
        ),
        f'<div class="wide">{table(headings, rows)}</div>',
        "</div>",
    )


def map_section(items: CodedItems, codebooks: NDArray[np.float64]) -> str:
    """Draw the decoded latents on their two principal axes.

    Args:
        codebooks: (L, K, d).
    """
    latents = codebooks[np.arange(len(codebooks)), items.codes.astype(np.int64)].sum(1)
    latents = np.pad(latents, ((0, 0), (0, max(0, 2 - latents.shape[1]))))
    centred = latents - latents.mean(0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes *= np.sign(axes[np.abs(axes).argmax(0), [0, 1]])  # eigenvectors have no sign of their own
    shares = (values[::-1][:2] / max(values.sum(), 1e-30)).tolist()
    picture = draw_map(centred @ axes, shares, items.codes[:, 0])
    return section(
        "Map of the latents",
        "The latents that the codes stand for, on the two axes that show most of them. The "
        "commonest first codes have a colour, and their number at the middle of their items.",
        figure(picture, "Decoded latents on their two principal axes", kind="map"),
    )


def collisions_section(items: CodedItems) -> str:
    """Show the largest groups of items that have equal codes."""
    groups = shared(items.codes)
    if not groups:
        return section("Collisions", "No two items have the same codes.")
    involved = sum(len(group.rows) for group in groups)
    parts = [_group(items, group, group.rows) for group in groups[:MOST_COLLISIONS]]
    return section(
        "Collisions",
        f"{involved:,} items share all their codes with another, in {len(groups):,} groups; a "
        f"suffix keeps their IDs apart. The largest are these.",
        '<div class="columns">',
        *parts,
        "</div>",
    )


def prefix_groups_section(items: CodedItems) -> str:
    """Show examples of items under shared prefixes."""
    parts = []
    for chain in prefix_groups(items.codes):
        columns = (_group(items, one, spread(one, items.codes, MOST_NAMES)) for one in chain)
        parts.append(f'<div class="columns">{"".join(columns)}</div>')
    lead = "Items under a first code, and under the commonest longer prefixes that begin with it, "
    lead += "which should read as narrower kinds. The first codes run from the commonest to the "
    lead += "median one."
    return section("Families", lead if parts else "No two items share a first code.", *parts)


def _group(items: CodedItems, group: PrefixGroup, rows: NDArray[np.intp]) -> str:
    """Return a group with the names of some of its rows."""
    names = [items.names[row] for row in rows[:MOST_NAMES]]
    count = len(group.rows)
    return (
        f'<div class="family">{chips(group.prefix)}<span class="dim">{count:,} items</span>'
        f"{item_list(names, count - len(names))}</div>"
    )


def _shortened(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
