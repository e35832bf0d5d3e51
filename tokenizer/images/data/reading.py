"""Images of one size and one mode, decoded from wherever they come from."""

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.progress import Progress
from tokenizer.images.data.sources import RawImage, raw_images

__all__ = ["ImageSet", "read_images"]

LEAST = 20  # images of which some can be held out
NAMED = 5  # broken images that a message names


@dataclass(frozen=True)
class ImageSet:
    """Images of one size.

    Attributes:
        pixels: (n, 3, side, side) uint8, RGB.
        labels: (n,) int64, numbers of classes; all −1 if there are no classes.
        classes: the classes' names, in their order.
        resized: how many images had another size; they were scaled, and cropped at the centre.
        converted: how many were not RGB.
        broken: names of the images that could not be decoded; they are left out.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    resized: int
    converted: int
    broken: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of pixels and labels."""
        found = hashlib.sha256(repr(self.pixels.shape).encode())
        found.update(np.ascontiguousarray(self.pixels).tobytes())
        found.update(self.labels.tobytes())
        return found.hexdigest()

    def notes(self) -> list[str]:
        """Return what was changed or left out, one sentence each."""
        side, count, told = self.pixels.shape[-1], len(self.pixels), []
        if self.resized:
            told.append(f"{self.resized:,} of {count:,} images were brought to {side} × {side}")
        if self.converted:
            told.append(f"{self.converted:,} of {count:,} images were converted to RGB")
        if self.broken:
            more = ", …" if len(self.broken) > NAMED else ""
            told.append(
                f"{len(self.broken):,} images cannot be decoded and are left out: "
                f"{', '.join(self.broken[:NAMED])}{more}"
            )
        return told


def read_images(path: Path, side: int, progress: Progress | None = None) -> ImageSet:
    """Read the images at `path`, each as RGB of `side` × `side` pixels.

    Args:
        path: as for `raw_images`.

    Raises:
        InputError: as `raw_images`; or fewer than 20 images can be decoded.
    """
    pixels, labels, broken = [], [], []
    resized = converted = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong with an image is counted instead
        for raw in raw_images(path):
            try:
                image, was_resized, was_converted = _decoded(raw, side)
            except Exception:  # noqa: BLE001  # decoders raise what they like on broken files
                broken.append(raw.name)
                continue
            pixels.append(image)
            labels.append(raw.label)
            resized += was_resized
            converted += was_converted
            if progress is not None:
                progress(1)
    if len(pixels) < LEAST:
        told = f", and {len(broken)} cannot be decoded ({broken[0]}, …)" if broken else ""
        raise InputError(
            f"{path}: {len(pixels)} images are too few to hold some out{told}; give {LEAST} or more"
        )
    numbers, classes = _classes(labels)
    stacked = np.ascontiguousarray(np.stack(pixels).transpose(0, 3, 1, 2))
    return ImageSet(stacked, numbers, classes, resized, converted, tuple(broken))


def _decoded(raw: RawImage, side: int) -> tuple[NDArray[np.uint8], bool, bool]:
    """Return pixels (side, side, 3), and whether the image was resized and converted."""
    from PIL import Image, ImageOps

    if isinstance(raw.content, bytes):
        with Image.open(io.BytesIO(raw.content)) as opened:
            opened.load()
            image: Image.Image = ImageOps.exif_transpose(opened)
    else:
        image = Image.fromarray(raw.content)
    was_converted, was_resized = image.mode != "RGB", image.size != (side, side)
    if was_converted:
        image = image.convert("RGB")
    if was_resized:
        image = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
    return np.asarray(image), was_resized, was_converted


def _classes(labels: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return numbers and names; −1 and none if fewer than two classes are named."""
    names = sorted(set(labels) - {""})
    if len(names) < 2:
        return np.full(len(labels), -1, np.int64), ()
    numbers = {name: number for number, name in enumerate(names)} | {"": -1}
    return np.array([numbers[label] for label in labels], np.int64), tuple(names)
