"""The pictures of a report, as SVG for its page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")  # no screen

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

__all__ = [
    "Line",
    "code_hue",
    "draw_lines",
    "level_lines",
]

INK = "#010203"  # replaced by the page's text colour, light or dark
STYLE: Any = {  # matplotlib's type lists every name
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
MAX_POINTS = 400


@dataclass(frozen=True)
class Line:
    """One line of a picture; a line of one value is drawn as a dot.

    Attributes:
        x, y: of equal length.
        colour: number of a colour. None draws a dashed reference line in the text's colour.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int | None


def draw_lines(
    lines: Sequence[Line],
    label: str,
    x_label: str,
    log: bool = False,
    limits: tuple[float, float] | None = None,
    kept: float | None = None,
    marks: Sequence[float] = (),
) -> str:
    """Return an SVG of lines.

    Args:
        label: of the vertical axis.
        x_label: of the horizontal axis.
        log: whether the vertical axis is logarithmic; values that are not positive are left out.
        limits: of the vertical axis.
        kept: the step whose model was kept, drawn as a vertical line.
        marks: the steps with events.
    """
    with mpl.rc_context(STYLE | {"svg.hashsalt": label}):
        figure = Figure(figsize=(4.3, 3.2), layout="constrained")
        axes = figure.subplots()
        palette = mpl.colormaps["tab10" if len(lines) <= 10 else "tab20"]
        for line in lines:
            x, y = _thinned(line, positive=log)
            if line.colour is None:
                axes.plot(x, y, "--", color=INK, alpha=0.6, linewidth=1, label=line.name)
            else:
                marker = "o" if len(x) == 1 else ""
                axes.plot(x, y, marker=marker, color=palette(line.colour), label=line.name)
        if kept is not None:
            axes.axvline(kept, color=INK, alpha=0.6, linewidth=1, linestyle=":", label="kept")
        if marks:
            axes.plot(
                marks, [1] * len(marks), "v", color="tab:red", clip_on=False, label="event",
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
        if log:
            _use_log_scale(axes)
        if limits is not None:
            axes.set_ylim(limits)
        axes.set_ylabel(label)
        axes.set_xlabel(x_label)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
        axes.grid(color=INK, alpha=0.12)
        named = len(axes.get_legend_handles_labels()[0])
        columns = 4 if named % 3 == 1 else 3
        figure.legend(loc="outside lower center", fontsize="small", ncols=columns)
        return _svg(figure)


def _use_log_scale(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def level_lines(
    values: NDArray[np.float64] | NDArray[np.int64], x: Sequence[float] | None = None
) -> list[Line]:
    """Return a line for each level of values (L, m); x is 1…m where None."""
    places = list(range(1, values.shape[1] + 1)) if x is None else x
    return [
        Line(f"level {number + 1}", places, level.tolist(), number)
        for number, level in enumerate(values)
    ]


def code_hue(level: int, code: int) -> float:
    """Return the hue of a code in degrees; consecutive codes get distant hues."""
    return (code * 137.508 + level * 47) % 360


def _thinned(line: Line, positive: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a line's points, at most `MAX_POINTS`, evenly chosen.

    Args:
        positive: whether to leave out values that are not positive.
    """
    x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
    if positive:
        x, y = x[y > 0], y[y > 0]
    if len(x) > MAX_POINTS:
        kept = np.linspace(0, len(x) - 1, MAX_POINTS).round().astype(int)
        x, y = x[kept], y[kept]
    return x, y


def _svg(figure: Figure) -> str:
    """Return a figure as an SVG element: the same bytes each time, without URLs."""
    buffer = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", dpi=200, transparent=True, metadata=nothing)
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r' (xmlns(:\w+)?|version|width|height)="[^"]*"', "", drawn, count=5)
    drawn = re.sub(r"<style.*?</style>|font-family: [^;]*; ", "", drawn)  # the page styles the text
    drawn = re.sub(
        r'<g id="[^"]*"', "<g", drawn
    )  # ids are not unique in a page of several pictures
    return drawn.replace(INK, "currentColor").strip()
