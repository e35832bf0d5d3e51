"""Pictures of a search benchmark: latency against recall, and recall against the codebook size."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no screen

from matplotlib import pyplot as plt

__all__ = ["draw_codebook_sizes", "draw_latency"]

METRIC = "recall@50"
SHAPE = re.compile(r"^(?P<name>.+?)-(?P<levels>\d+)x(?P<size>\d+)(?P<rest>.*)$")


def draw_latency(rows: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Draw milliseconds a query against Recall@50, as in GRIT-VQ's Figure 6.

    Returns:
        Whether any row has a latency, and so a picture was written.
    """
    timed = [row for row in rows if row["latency"] is not None and METRIC in row["metrics"]]
    if not timed:
        return False
    figure, panel = plt.subplots(figsize=(7, 5), layout="constrained")
    for row in timed:
        x, y = row["latency"]["p50_ms"], row["metrics"][METRIC]["mean"]
        panel.plot(x, y, "o")
        name = " ".join(filter(None, (row["category"], row["model"], row["tokenizer"])))
        panel.annotate(name, (x, y), textcoords="offset points", xytext=(5, 3), fontsize=7)
    panel.set_xlabel("milliseconds a query (median; query tower and index)")
    panel.set_ylabel(METRIC)
    panel.set_xlim(left=0)
    panel.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return True


def draw_codebook_sizes(rows: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Draw Recall@50 against the codebook size of each quantizer, as in GRIT-VQ's Figure 5.

    Returns:
        Whether a quantizer was measured with two sizes, and so a picture was written.
    """
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        found = SHAPE.match(row["tokenizer"])
        if found is None or METRIC not in row["metrics"]:
            continue
        name = (
            f"{row['category']} {row['model']} {found['name']} {found['levels']}×K{found['rest']}"
        )
        lines.setdefault(name, []).append((int(found["size"]), row["metrics"][METRIC]["mean"]))
    lines = {name: sorted(points) for name, points in lines.items() if len(points) > 1}
    if not lines:
        return False
    figure, panel = plt.subplots(figsize=(7, 5), layout="constrained")
    for name, points in lines.items():
        panel.plot(*zip(*points, strict=True), marker="o", label=name)
    panel.set_xscale("log", base=2)
    panel.set_xlabel("codebook size K")
    panel.set_ylabel(METRIC)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=7)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return True
