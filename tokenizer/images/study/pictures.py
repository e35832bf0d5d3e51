"""Pictures of a study: curves, rate against distortion, reconstructions and samples."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

mpl.use("Agg")  # draws without a screen

from matplotlib import pyplot as plt

from tokenizer.images.study.tables import StudyRow

__all__ = ["draw_study"]

ZOOM = 2
GAP = 2
LABEL = 190  # pixels at the left for a row's name
FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
INK, PAPER = (20, 20, 20), (255, 255, 255)


def draw_study(rows: Sequence[StudyRow], folder: Path) -> list[Path]:
    """Draw what the records of a study show, and return the files.

    Curves and images are those of a row's first seed.
    """
    shown = [row for row in rows if row.records]
    if not shown:
        return []
    drawn = [_draw_curves(shown, folder / "curves.png"), _draw_rates(shown, folder / "rates.png")]
    for name in ("reconstructions", "samples"):
        drawn += _draw_images(shown, name, folder / f"{name}.png")
    return drawn


def _draw_curves(rows: Sequence[StudyRow], path: Path) -> Path:
    """Draw utilization and dead codes of the worst level, and the validation loss."""
    figure, panels = plt.subplots(1, 3, figsize=(16, 4.8), layout="constrained")
    read: tuple[tuple[str, Callable[[Mapping[str, Any]], float]], ...] = (
        ("utilization, worst level", lambda measured: min(measured["utilization"])),
        ("dead codes, worst level", lambda measured: max(measured["dead_codes"])),
        ("validation loss", lambda measured: measured["loss"]),
    )
    for index, row in enumerate(rows):
        history = next(iter(row.records.values()))["history"]
        steps = [measured["step"] for measured in history]
        for panel, (_, value) in zip(panels, read, strict=True):
            values = [value(measured) for measured in history]
            panel.plot(steps, values, label=row.name, color=_colour(index), linestyle=_dash(index))
    for panel, (title, _) in zip(panels, read, strict=True):
        panel.set_title(title)
        panel.set_xlabel("step")
        panel.grid(alpha=0.3)
    panels[2].legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def _draw_rates(rows: Sequence[StudyRow], path: Path) -> Path:
    """Draw distortion and Fréchet distances against bits, one line a variant.

    A row's own point is full; hollow points before it are its first levels alone.
    """
    figure, panels = plt.subplots(1, 3, figsize=(16, 4.8), layout="constrained")
    read = (
        ("perceptual", "perceptual distance"),
        ("frechet", "Fréchet distance of reconstructions"),
        ("sample_frechet", "Fréchet distance of samples"),
    )
    variants: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        record = next(iter(row.records.values()))
        variants.setdefault(record["cell"]["config"]["quantizer"]["name"], []).append(record)
    for index, (name, records) in enumerate(sorted(variants.items())):
        records.sort(key=lambda record: record["bits"])
        for panel, (key, _) in zip(panels, read, strict=True):
            points = [(r["bits"], r[key]) for r in records if r.get(key) is not None]
            bits = [point[0] for point in points]
            joined = "-" if len(set(bits)) == len(bits) else ""
            style = {"color": _colour(index), "marker": "o", "markersize": 4, "label": name}
            panel.plot(bits, [point[1] for point in points], linestyle=joined, **style)
            for record in records:
                early = record["levels_of_rate"][:-1]
                places = [(rate["bits"], rate[key]) for rate in early if key in rate]
                for place in places:
                    panel.plot(*place, "o", mfc="none", color=_colour(index), markersize=4)
    for panel, (_, title) in zip(panels, read, strict=True):
        panel.set_title(title)
        panel.set_xlabel("bits of an image's codes")
        panel.grid(alpha=0.3)
    panels[2].legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def _draw_images(rows: Sequence[StudyRow], what: str, path: Path) -> list[Path]:
    """Draw a row of images for each row of the study; a column has one image or one noise."""
    lines: list[tuple[str, NDArray[np.uint8]]] = []
    for row in rows:
        file = next(iter(row.records)).with_suffix(".npz")
        if not file.exists():
            continue
        with np.load(file) as kept:
            if what == "reconstructions" and not lines:
                lines.append(("originals", kept["originals"]))
            if what in kept:
                lines.append((row.name, kept[what]))
    if not lines:
        return []
    side, columns = lines[0][1].shape[-1] * ZOOM + GAP, max(len(images) for _, images in lines)
    sheet = Image.new("RGB", (LABEL + columns * side, len(lines) * side), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(FONT, 11)
    for y, (name, images) in enumerate(lines):
        pen.text((4, y * side + side // 2 - 6), name, fill=INK, font=font)
        for x, pixels in enumerate(images):
            image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
            zoomed = image.resize((side - GAP, side - GAP), Image.Resampling.NEAREST)
            sheet.paste(zoomed, (LABEL + x * side, y * side))
    sheet.save(path)
    return [path]


def _colour(index: int) -> Any:
    return plt.get_cmap("tab10")(index % 10)


def _dash(index: int) -> str:
    return ("-", "--", ":", "-.")[index // 10 % 4]
