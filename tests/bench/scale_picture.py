"""The ladder of catalogues as a picture: each figure over the number of items."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no screen

from matplotlib import pyplot as plt

__all__ = ["draw_scale"]

# Title of a panel → its figures by name.
PANELS: dict[str, dict[str, str]] = {
    "seconds": {
        "fit_seconds": "fit",
        "tokenize_seconds": "tokenize",
        "import_seconds": "import",
        "start_seconds": "start",
    },
    "largest memory, MB": {
        "fit_megabytes": "fit",
        "tokenize_megabytes": "tokenize",
        "service_megabytes": "service",
    },
    "p50 of one client, ms": {
        "index_search_p50_milliseconds": "index alone",
        "similar_p50_milliseconds": "similar",
        "prefixes_p50_milliseconds": "prefixes",
        "search_p50_milliseconds": "search",
        "look_up_p50_milliseconds": "look-up",
    },
}


def draw_scale(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the kept results of `tests.bench.scale`, both axes logarithmic."""
    sizes = sorted(results, key=int)
    figure, axes = plt.subplots(1, len(PANELS), figsize=(12, 3.6), layout="constrained")
    for panel, (title, names) in zip(axes, PANELS.items(), strict=True):
        for name, label in names.items():
            points = [
                (int(size), step["figures"][name])
                for size in sizes
                for step in results[size].values()
                if name in step["figures"]
            ]
            if points:
                panel.loglog(*zip(*points, strict=True), marker="o", label=label)
        panel.set_title(title)
        panel.set_xlabel("items")
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)
