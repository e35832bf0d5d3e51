"""The section that compares two tokenizers on the same items."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import adjusted_mutual_info_score

from tokenizer.artifact import TokenizerArtifact
from tokenizer.prefixes.naming import PrefixNamer, sizes_by_depth
from tokenizer.report.coded_items import CodedItems
from tokenizer.report.html import section, table
from tokenizer.report.neighbours import NeighbourOverlap
from tokenizer.training.health import unique_share

__all__ = ["Compared", "compared_section"]


@dataclass(frozen=True)
class Compared:
    """A tokenizer with the items that it coded, and what was measured of them."""

    tokenizer: TokenizerArtifact
    items: CodedItems
    namer: PrefixNamer
    overlap: NeighbourOverlap | None


def compared_section(one: Compared, other: Compared) -> str:
    """Return the section with the figures of two tokenizers side by side."""
    figures = [_figures(each) for each in (one, other)]
    names = [name for name in figures[0] if name in figures[1]]
    rows = [(name, figures[0][name], figures[1][name]) for name in names]
    headings = ("", *(each.tokenizer.fingerprint[:12] for each in (one, other)))
    return section(
        "Two tokenizers",
        f"This tokenizer beside {other.tokenizer.fingerprint[:12]}, each on its own items of this "
        f"report. Coherence is the mean cosine of pairs of items under a prefix, over prefixes of "
        f"two items or more, weighted by items. Agreement is the adjusted mutual information of "
        f"the first codes of the items that both have: {_agreement(one, other)}; 1 is the same "
        f"groups, 0 is chance.",
        table(headings, rows),
    )


def _figures(each: Compared) -> dict[str, str]:
    quantizer, metrics = each.tokenizer.config.quantizer, each.tokenizer.metrics
    held = metrics["held_out_error"]
    codes = torch.tensor(each.items.codes.astype(np.int64))
    figures = {
        "quantizer": f"{quantizer.name}, {quantizer.levels} × {quantizer.codebook_size}",
        "encoder": "–" if each.tokenizer.config.encoder is None
        else each.tokenizer.config.encoder.name,
        "items": f"{len(each.items.codes):,}",
        "error, held-out items": "–" if held is None else f"{held:.3f}",
        "error, items of this report": f"{each.items.error:.3f}",
        "items with unique codes": f"{unique_share(codes):.2%}",
    }  # fmt: skip
    for depth in sizes_by_depth(each.items.codes)[:2]:
        figures[f"prefixes of {depth.length}"] = f"{depth.prefixes:,}"
        figures[f"of one item, at {depth.length}"] = f"{depth.single:.1%}"
    families = [family for family in each.namer.below() if family.coherence is not None]
    if families:
        weights = [family.items for family in families]
        mean = np.average([family.coherence or 0.0 for family in families], weights=weights)
        figures["coherence of first codes"] = f"{mean:.3f}"
    if each.namer.chance is not None:
        figures["coherence by chance"] = f"{each.namer.chance:.3f}"
    if each.overlap is not None:
        figures["neighbours found by codes"] = f"{each.overlap.codes:.1%}"
    return figures


def _agreement(one: Compared, other: Compared) -> str:
    theirs = {name: row for row, name in enumerate(other.items.item_ids)}
    pairs = [(row, theirs[name]) for row, name in enumerate(one.items.item_ids) if name in theirs]
    if len(pairs) < 2:
        return "no items in common"
    ours, them = (np.asarray(rows) for rows in zip(*pairs, strict=True))
    value = adjusted_mutual_info_score(one.items.codes[ours, 0], other.items.codes[them, 0])
    return f"{value:.2f}"
