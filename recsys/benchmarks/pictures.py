"""A benchmark's rows as a picture: dots with their spread over seeds, published figures beside."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no screen

from matplotlib import pyplot as plt

from recsys.benchmarks.published import PUBLISHED

__all__ = ["draw_rows"]

WIDTH, LINE = 5.5, 0.28  # inches: of a category, and of a row


def draw_rows(rows: Sequence[Mapping[str, Any]], path: Path, metric: str = "recall@10") -> None:
    """Write the test figures of all rows as one panel a category.

    A full dot ranks all items, a hollow one leaves the user's history out; crosses are published.
    """
    shown = [row for row in rows if not row["cold"]]
    categories = list(dict.fromkeys(c for row in shown for c in row["figures"]))
    published = [name for name in PUBLISHED if set(PUBLISHED[name]) & set(categories)]
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
    which = 0 if metric == "recall@10" else 1
    for panel, category in zip(panels[0], categories, strict=True):
        for y, row in enumerate(shown):
            for candidates, fill in (("all", "tab:blue"), ("without_history", "white")):
                found = row["figures"].get(category, {}).get("metrics", {}).get(candidates)
                if found is not None:
                    panel.errorbar(
                        found[metric]["mean"],
                        y,
                        xerr=found[metric]["std"] or 0,
                        fmt="o",
                        color="tab:blue",
                        markerfacecolor=fill,
                    )
        for y, name in enumerate(published, start=len(names)):
            if category in PUBLISHED[name]:
                panel.plot(PUBLISHED[name][category][which], y, "x", color="tab:gray")
        panel.set_title(f"{category}: {metric}")
        panel.set_yticks(places, [*names, *published])
        panel.grid(axis="x", alpha=0.3)
        panel.set_xlim(left=0)
    panels[0][0].invert_yaxis()
    figure.supxlabel("full: all items ranked; hollow: the user's history left out; ×: published")
    figure.savefig(path, dpi=120)
    plt.close(figure)
