"""Time of a training step of the vision testbed: GRIT-VQ beside the straight-through estimator."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tokenizer.images.config import ImageConfig
from tokenizer.images.data.device_images import load_images, save_images
from tokenizer.images.data.reading import ImageSet
from tokenizer.images.model.classifier import Classifier
from tokenizer.images.options import with_image_options
from tokenizer.images.study.cost import step_seconds

__all__ = ["image_steps"]

SIDE, IMAGES = 32, 1200


def image_steps() -> dict[str, Any]:
    """Return milliseconds a step on 32 × 32 images, default sizes, at K = 1,024 and 4,096."""
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=np.uint8)
    unknown = np.full(IMAGES, -1, np.int64)
    with TemporaryDirectory() as folder:
        save_images(Path(folder), ImageSet(pixels, unknown, (), 0, 0, ()))
        images = load_images(Path(folder), 0.2, "cpu")
    critic = Classifier(4).eval().requires_grad_(requires_grad=False)
    result: dict[str, Any] = {"batch": ImageConfig().batch_size}
    for size in (1024, 4096):
        configs = {
            name: with_image_options(ImageConfig(), {"quantizer": name, "codebook_size": size})
            for name in ("ste", "grit")
        }
        seconds, _ = step_seconds(images, critic, configs)
        for name, value in seconds.items():
            result[f"{name}_{size}_milliseconds"] = value * 1e3
        result[f"grit_to_ste_{size}"] = seconds["grit"] / seconds["ste"]
    return result
