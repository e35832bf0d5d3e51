"""Pictures of a comparison, written to files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no screen

from matplotlib import pyplot as plt

__all__ = ["draw_curves", "draw_errors"]


def draw_errors(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw each row's training and held-out error, with deviations over seeds."""
    figure, axes = plt.subplots(figsize=(8, 1 + 0.4 * len(rows)), layout="constrained")
    names = [row["name"] for row in rows][::-1]
    places = range(len(names))
    for key, label, shift in (
        ("train_error", "training items", -0.18),
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
    """Draw utilization, dead codes and held-out error over training, one line a quantizer.

    Utilization and dead codes are those of the worst level; of several seeds the first is drawn.
    """
    figure, panels = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    drawn: set[str] = set()
    for record in records:
        if record["name"] in drawn:
            continue
        drawn.add(record["name"])
        size = record["config"]["quantizer"]["codebook_size"]
        steps = [measured["step"] for measured in record["history"]]
        worst = [min(measured["utilization"]) for measured in record["history"]]
        errors = [measured["held_out_error"] for measured in record["history"]]
        dead = [size * (1 - utilization) for utilization in worst]
        for panel, values in zip(panels, (worst, dead, errors), strict=True):
            panel.plot(steps, values, label=record["name"])
    for panel, title in zip(
        panels,
        ("utilization, worst level", "dead codes, worst level", "held-out error"),
        strict=True,
    ):
        panel.set_title(title)
        panel.set_xlabel("step")
        panel.grid(alpha=0.3)
    panels[2].legend(fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)
