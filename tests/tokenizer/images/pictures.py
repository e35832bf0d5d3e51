"""Small generated images for the tests of the testbed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tokenizer.images.config import ImageConfig
from tokenizer.images.data.device_images import DeviceImages, load_images, save_images
from tokenizer.images.data.reading import ImageSet, read_images
from tokenizer.images.options import with_image_options

__all__ = ["SIDE", "TINY", "drawn", "on_device", "written"]

SIDE = 16
TINY = with_image_options(
    ImageConfig(),
    {
        "steps": 6, "warmup_steps": 3, "batch_size": 16, "measurements": 2, "grid": 4,
        "channels": 8, "latent": 8, "codebook_size": 32, "rank": 4, "prior_steps": 3,
        "prior_width": 16, "prior_heads": 2, "prior_layers": 1, "samples": 12,
    },
)  # fmt: skip


def drawn(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return images (count, side, side, 3): a bright square on a slope, in two colours."""
    draws = np.random.default_rng(seed)
    slope = np.linspace(0, 90, SIDE, dtype=np.float64)
    images = np.zeros((count, SIDE, SIDE, 3))
    for index in range(count):
        images[index] = slope[None, :, None]
        y, x = draws.integers(0, SIDE - 6, 2)
        images[index, y : y + 6, x : x + 6, index % 2] = 200
    return (images + draws.uniform(0, 20, images.shape)).astype(np.uint8)


def written(folder: Path, count: int = 60) -> Path:
    """Write images as files, each in the folder of its class, and return the folder."""
    for index, pixels in enumerate(drawn(count)):
        place = folder / ("red", "green")[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{index:03}.png")
    return folder


def on_device(folder: Path, count: int = 60) -> DeviceImages:
    """Return images split for training."""
    images: ImageSet = read_images(written(folder / "images", count), SIDE)
    save_images(folder, images)
    return load_images(folder, 0.3, "cpu")
