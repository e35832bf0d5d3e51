"""Pictures of a comparison, written to files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # draws without a screen

from matplotlib import pyplot as plt

__all__ = ["draw_curves", "draw_errors", "draw_rate_distortion"]


def draw_errors(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw each row's validation and held-out error, with the deviation over seeds."""
    figure, axes = plt.subplots(figsize=(8, 1 + 0.4 * len(rows)), layout="constrained")
    names = [row["name"] for row in rows][::-1]
    places = range(len(names))
    for key, label, shift in (
        ("validation_error", "validation items", -0.18),
        ("held_out_error", "held-out items", 0.18),
    ):
        means = [row[key]["mean"] for row in rows][::-1]
        spreads = [row[key]["std"] or 0.0 for row in rows][::-1]
        axes.barh([p + shift for p in places], means, 0.34, xerr=spreads, label=label)
    axes.set_yticks(list(places), names)
    axes.set_xlabel("relative reconstruction error (share of the variance lost)")
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_curves(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw utilization, dead codes and validation error over training, one line a quantizer.

    Utilization and dead codes are the worst level's; of several seeds only the first is drawn.
    """
    figure, panels = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    drawn: set[str] = set()
    for record in records:
        if record["name"] in drawn:
            continue
        drawn.add(record["name"])
        steps = [measured["step"] for measured in record["history"]]
        worst = [min(measured["utilization"]) for measured in record["history"]]
        errors = [measured["validation_error"] for measured in record["history"]]
        dead = [max(measured["dead_codes"]) for measured in record["history"]]
        for panel, values in zip(panels, (worst, dead, errors), strict=True):
            panel.plot(steps, values, label=record["name"])
    for panel, title in zip(
        panels,
        ("utilization, worst level", "dead codes, worst level", "validation error"),
        strict=True,
    ):
        panel.set_title(title)
        panel.set_xlabel("step")
        panel.grid(alpha=0.3)
    panels[2].legend(fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_rate_distortion(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the held-out error against the bits of the codes' prefixes, one line a name.

    Errors are means over seeds.
    """
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name in dict.fromkeys(record["name"] for record in records):
        runs = [record["rate_distortion"] for record in records if record["name"] == name]
        bits = [point["bits"] for point in runs[0]]
        errors = [
            sum(point["held_out_error"] for point in points) / len(runs)
            for points in zip(*runs, strict=True)
        ]
        axes.plot(bits, errors, marker="o", markersize=3, label=name)
    axes.set_xlabel("bits of an item's codes, level by level")
    axes.set_ylabel("relative reconstruction error, held-out items")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)
