"""A benchmark's rows as a picture: dots with their spread over seeds, beside published figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no screen

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.typing import FillStyleType

from recsys.benchmarks.published import PUBLISHED, SHOWN, PublishedRow
from recsys.benchmarks.tables import by_validation
from recsys.evaluation.full_ranking import Candidates

__all__ = ["draw_rows"]

WIDTH, LINE = 5.5, 0.28  # inches: width of a category's panel, height of a row
FILLS: dict[Candidates, FillStyleType] = {"all": "full", "without_history": "none"}


def draw_rows(rows: Sequence[Mapping[str, Any]], path: Path, metric: str = "recall@10") -> None:
    """Write a picture of all rows' test figures, one panel a category.

    Full marks rank all items; hollow marks leave the user's history out. Diamonds are published
    figures; a cross is a published figure whose source does not say which items were ranked.
    """
    shown = [row for row in by_validation(rows, "all") if not row["cold"]]
    categories = list(dict.fromkeys(c for row in shown for c in row["figures"]))
    published = [name for name, row in PUBLISHED.items() if set(row.figures) & set(categories)]
    names = [" ".join(filter(None, (row["model"], row["tokenizer"]))) for row in shown]
    places = range(len(names) + len(published))
    figure, panels = plt.subplots(
        1,
        len(categories),
        figsize=(2.5 + WIDTH * len(categories), 1 + LINE * len(places)),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for panel, category in zip(panels[0], categories, strict=True):
        for y, row in enumerate(shown):
            _mark_row(panel, y, row["figures"].get(category, {}), metric)
        for y, name in enumerate(published, start=len(names)):
            _mark_published(panel, y, PUBLISHED[name], category, metric)
        panel.set_title(f"{category}: {metric}")
        panel.set_yticks(places, [*names, *published])
        panel.grid(axis="x", alpha=0.3)
        panel.set_xlim(left=0)
    panels[0][0].invert_yaxis()
    figure.supxlabel(
        "full: all items ranked; hollow: the user's history left out\n"
        "diamond: published; ×: published, candidates not stated"
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _mark_row(panel: Axes, y: int, figures: Mapping[str, Any], metric: str) -> None:
    """Draw a row's means as dots with their standard deviations."""
    for candidates, fill in FILLS.items():
        found = figures.get("metrics", {}).get(candidates)
        if found is not None:
            panel.errorbar(
                found[metric]["mean"],
                y,
                xerr=found[metric]["std"] or 0,
                fmt="o",
                color="tab:blue",
                fillstyle=fill,
            )


def _mark_published(panel: Axes, y: int, row: PublishedRow, category: str, metric: str) -> None:
    """Draw a published figure as a diamond, or as a cross if its candidates are not stated."""
    if category not in row.figures:
        return
    panel.plot(
        row.figures[category][SHOWN.index(metric)],
        y,
        "D" if row.candidates else "x",
        color="tab:gray",
        fillstyle=FILLS[row.candidates] if row.candidates else "full",
    )
