"""Images of items → vectors, by a sentence-transformers model that reads images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.embedding.encoders import Encoder, SentenceEncoder
from data_prep.errors import InputError
from data_prep.progress import Progress

__all__ = ["embed_images", "image_files"]


def image_files(named: Sequence[str | None], item_ids: Sequence[str], folder: Path) -> list[Path]:
    """Return the file of each item's image.

    Args:
        named: paths, absolute or from `folder` on.
        item_ids: of the items, for messages.

    Raises:
        InputError: an item has no image, or one that is no file here.
    """
    files = []
    for name, item_id in zip(named, item_ids, strict=True):
        if name is None or not name.strip():
            raise InputError(f"item {item_id!r} has no image; name its file, or leave the item out")
        if "://" in name:
            raise InputError(
                f"item {item_id!r}: the image {name!r} is not on this machine; download the images "
                f"and name their files"
            )
        path = folder / name.strip()
        if not path.is_file():
            raise InputError(f"item {item_id!r}: there is no image {path}; correct its path")
        files.append(path)
    return files


def embed_images(
    files: Sequence[Path], encoder: Encoder, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Encode images one by one, so that a vector does not depend on the other images.

    Returns:
        (n, encoder.dimension) float32.

    Raises:
        InputError: the encoder reads no images, or a file is no image.
    """
    from PIL import Image, UnidentifiedImageError

    if not isinstance(encoder, SentenceEncoder) or not encoder.reads_images:
        raise InputError(
            f"the encoder {encoder.name} reads no images; give a sentence-transformers model that "
            f"does, such as sentence-transformers/clip-ViT-B-32, by name or folder"
        )
    vectors = np.empty((len(files), encoder.dimension), dtype=np.float32)
    for row, path in enumerate(files):
        try:
            with Image.open(path) as image:
                pixels = image.convert("RGB")
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            raise InputError(f"{path} is not a readable image: {error}; replace it") from error
        vectors[row] = encoder.encode_image(pixels)
        if progress is not None:
            progress(1)
    return vectors
