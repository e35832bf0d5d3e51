"""What the study says: each catalogue's best choice, what a rule chooses, and how far it is off."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from data_prep.markdown import markdown_table
from tokenizer.advice.shape import proposed_shape

__all__ = ["best_shape", "regret", "tables"]

# What a shape must fulfil before its error counts.
COMPANY = 0.9  # of new items, those that meet a known item under their first two codes
UNIQUE = 0.95  # of the most items with unique codes that any shape of the catalogue reaches
BITS = 32  # of an ID, as 4 × 256 has

_NAME = re.compile(r"(\d+) × (\d+) (\w+) (\w+) beam (\d+)")
Figures = Mapping[str, Any]


class Cell(NamedTuple):
    """A fit's choice, read from its name."""

    levels: int
    size: int
    quantizer: str
    network: str
    beam: int

    @property
    def shape(self) -> str:
        return f"{self.levels} × {self.size}"

    @property
    def bits(self) -> int:
        return self.levels * (self.size - 1).bit_length()


def tables(results: Mapping[str, Figures]) -> str:
    """Return the study as Markdown: shapes with their figures, then the rule and its regret."""
    parts = ["# Levels and codewords on real catalogues\n", _rule(results), _networks(results)]
    parts += [_shapes(name, found) for name, found in results.items()]
    return "\n".join(parts)


def best_shape(found: Figures) -> tuple[Cell, Figures] | None:
    """Return the shape of the least error among those that fulfil the criteria; None without."""
    able = [(cell, figures) for cell, figures in _grid(found) if _able(cell, figures, found)]
    return min(able, key=lambda each: float(each[1]["validation_error_usual"]), default=None)


def regret(found: Figures, levels: int, size: int) -> float | None:
    """Return how much larger the error of a shape is than the best one's; None without the two."""
    best, own = best_shape(found), _of(found, levels, size)
    if best is None or own is None:
        return None
    return float(own["validation_error_usual"] / best[1]["validation_error_usual"]) - 1


def _grid(found: Figures) -> list[tuple[Cell, Figures]]:
    """Return the fits of residual k-means, which differ in levels and codewords alone."""
    cells = [(_cell(name), figures) for name, figures in found["cells"].items()]
    return sorted(
        (each for each in cells if each[0].quantizer == "kmeans"),
        key=lambda each: (each[0].size, each[0].levels),
    )


def _cell(name: str) -> Cell:
    read = _NAME.fullmatch(name)
    assert read is not None, name
    return Cell(int(read[1]), int(read[2]), read[3], read[4], int(read[5]))


def _of(found: Figures, levels: int, size: int) -> Figures | None:
    wanted = (levels, size)
    return next((f for cell, f in _grid(found) if (cell.levels, cell.size) == wanted), None)


def _able(cell: Cell, figures: Figures, found: Figures) -> bool:
    most = max(each["unique_share_usual"] for _, each in _grid(found))
    return (
        figures["company_2"] >= COMPANY
        and figures["unique_share_usual"] >= UNIQUE * most
        and cell.bits <= BITS
    )


def _rule(results: Mapping[str, Figures]) -> str:
    rows = []
    for name, found in results.items():
        rule, best = proposed_shape(found["distinct"]), best_shape(found)
        own = _of(found, rule.levels, rule.codebook_size)
        usual = _of(found, 4, 256)
        off = regret(found, rule.levels, rule.codebook_size)
        rows.append(
            [
                name, found["role"], f"{found['items']:,}", f"{found['dimension']}",
                "-" if best is None else f"{best[0].shape}: {_short(best[1])}",
                f"{rule}: {_short(own)}",
                "-" if off is None else f"{off:+.1%}",
                f"{_short(usual)}",
            ]
        )  # fmt: skip
    headings = ("catalogue", "rule is", "items", "numbers", "best", "rule", "error", "4 × 256")
    return (
        f"Figures are error · company · unique codes. Best: the least validation error of the "
        f"shapes with company of {COMPANY:.0%}, {UNIQUE:.0%} of the unique codes that the "
        f"catalogue reaches, and {BITS} bits.\n\n{markdown_table(headings, rows)}\n"
    )


def _short(figures: Figures | None) -> str:
    if figures is None:
        return "-"
    return " · ".join(
        f"{figures[name]:.2f}"
        for name in ("validation_error_usual", "company_2", "unique_share_usual")
    )


def _networks(results: Mapping[str, Figures]) -> str:
    rows = []
    for name, found in results.items():
        for each, figures in found["cells"].items():
            cell = _cell(each)
            if cell.quantizer == "grit":
                rows.append([name, cell.shape, cell.network, str(cell.beam), *_figures(figures)])
    headings = ("catalogue", "shape", "network", "beam", *HEADINGS)
    return f"## Networks and beams\n\nGRIT-VQ.\n\n{markdown_table(headings, rows)}\n"


# Heading → key of a figure.
COLUMNS = {
    "validation error": "validation_error_usual",
    "unique": "unique_share_usual",
    "company 1": "company_1",
    "company 2": "company_2",
    "agreement 1": "agreement_1",
    "agreement 2": "agreement_2",
    "chance": "chance",
    "overlap": "overlap",
    "near 2": "near_2",
    "moved": "moved",
    "error, fewer choices": "validation_error_part",
    "unique, fewer choices": "unique_share_part",
    "error by distance": "validation_error_alone",
    "unique by distance": "unique_share_alone",
}
HEADINGS = tuple(COLUMNS)


def _figures(figures: Figures) -> list[str]:
    return [f"{figures[key]:.3f}" if key in figures else "-" for key in COLUMNS.values()]


def _shapes(name: str, found: Figures) -> str:
    rows = [[cell.shape, str(cell.bits), *_figures(figures)] for cell, figures in _grid(found)]
    return (
        f"## {name}\n\n{found['items']:,} items, {found['encoder']}, {found['dimension']} numbers, "
        f"{found['labels']} labels. Residual k-means, beam 5.\n\n"
        f"{markdown_table(('shape', 'bits', *HEADINGS), rows)}\n"
    )
