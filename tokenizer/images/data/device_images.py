"""A set of images split once, and held on the device that trains."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tokenizer.images.data.reading import ImageSet
from tokenizer.training.split import split_rows

__all__ = ["DeviceImages", "as_pixels", "load_images", "save_images", "to_unit"]

SPLIT_SEED = 0  # one split for all runs, since they share the classifiers


@dataclass(frozen=True)
class DeviceImages:
    """Images (n, 3, side, side) uint8 of each part of a split, on one device.

    Attributes:
        training_labels, validation_labels: (n,) int64; −1 means no class.
        classes: number of classes; 0 if there are none.
        digest: SHA-256 of all images.
    """

    training: Tensor
    validation: Tensor
    held_out: Tensor
    training_labels: Tensor
    validation_labels: Tensor
    classes: int
    digest: str

    @property
    def side(self) -> int:
        """Height and width of an image."""
        return int(self.training.shape[-1])

    @cached_property
    def variance(self) -> float:
        """Return the variance of the training images' values in −1…1: the unit of errors."""
        return float(self.training.float().var() / 127.5**2)


def save_images(folder: Path, images: ImageSet) -> None:
    """Write images for the processes that train on them."""
    np.save(folder / "pixels.npy", images.pixels)
    np.save(folder / "labels.npy", images.labels)
    (folder / "digest").write_text(f"{images.digest} {len(images.classes)}")


def load_images(folder: Path, held_out: float, device: str) -> DeviceImages:
    """Read what `save_images` wrote, split it, and move it to the device.

    Args:
        held_out: share of the images that do not train: half validate, half are only reported.
    """
    pixels = torch.from_numpy(np.load(folder / "pixels.npy"))
    labels = torch.from_numpy(np.load(folder / "labels.npy"))
    digest, classes = (folder / "digest").read_text().split()
    split = split_rows(len(pixels), held_out, SPLIT_SEED)
    return DeviceImages(
        pixels[split.training].to(device),
        pixels[split.validation].to(device),
        pixels[split.held_out].to(device),
        labels[split.training].to(device),
        labels[split.validation].to(device),
        int(classes),
        digest,
    )


def to_unit(pixels: Tensor) -> Tensor:
    """Return pixels (…) uint8 as float32 in −1…1."""
    return pixels.float() / 127.5 - 1


def as_pixels(values: Tensor) -> Tensor:
    """Return values in −1…1 as the nearest pixels, uint8; values outside are cut off."""
    return ((values + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
