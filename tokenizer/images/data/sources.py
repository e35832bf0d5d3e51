"""Where images come from: a folder, a zip archive, a parquet table, or an IDX file as MNIST's."""

import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.storage.files import existing_file

__all__ = ["RawImage", "raw_images"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
CONTENT = ("image", "jpeg", "png", "bytes", "content")  # names of a table's column of images
IDX_IMAGES, IDX_LABELS = 2051, 2049  # the first four bytes of an IDX file of images or labels


class RawImage(NamedTuple):
    """One image before it is decoded.

    Attributes:
        name: file name, or row, by which messages name it.
        label: class; empty if there is none.
        content: the bytes of a file, or grey values (height, width) uint8.
    """

    name: str
    label: str
    content: bytes | NDArray[np.uint8]


def raw_images(path: Path) -> Iterator[RawImage]:
    """Yield the images at `path`, in the order of their names or rows.

    In a folder or an archive the folder directly above an image is its class. In a table a column
    `label` is the class; beside an IDX file …-images-idx3-ubyte, …-labels-idx1-ubyte has it.

    Raises:
        InputError: there is nothing at the path, or no image in it, or it has another format.
    """
    if path.is_dir():
        return _folder(path)
    existing_file(path)
    if path.suffix == ".zip":
        return _archive(path)
    if path.suffix == ".parquet":
        return _table(path)
    if "idx3-ubyte" in path.name:
        return _idx(path)
    raise InputError(
        f"{path}: give a folder of images, a .zip of them, a .parquet table with their bytes, or "
        f"an IDX file (…idx3-ubyte, .gz too)"
    )


def _folder(path: Path) -> Iterator[RawImage]:
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    _check_some(path, len(files))
    for file in files:
        place = PurePosixPath(file.relative_to(path).as_posix())
        yield RawImage(str(place), place.parent.name, file.read_bytes())


def _archive(path: Path) -> Iterator[RawImage]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(
                name
                for name in archive.namelist()
                if PurePosixPath(name).suffix.lower() in SUFFIXES
            )
            _check_some(path, len(names))
            for name in names:
                yield RawImage(name, PurePosixPath(name).parent.name, archive.read(name))
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} is no zip archive, or it is cut off: {error}") from error


def _table(path: Path) -> Iterator[RawImage]:
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path} is no parquet table: {error}") from error
    column = next((name for name in CONTENT if name in frame.columns), None)
    if column is None:
        raise InputError(
            f"{path} has no column of images; name it {', '.join(CONTENT)}; it has "
            f"{', '.join(frame.columns)}"
        )
    contents = frame[column]
    if isinstance(contents.dtype, pl.Struct):
        contents = contents.struct.field("bytes")
    if contents.dtype != pl.Binary:
        raise InputError(f"{path}: column {column!r} has {contents.dtype}; it must have bytes")
    _check_some(path, frame.height)
    names = frame["file"] if "file" in frame.columns else [f"row {i}" for i in range(frame.height)]
    labels = frame["label"] if "label" in frame.columns else [None] * frame.height
    for name, label, content in zip(names, labels, contents, strict=True):
        yield RawImage(str(name), "" if label is None else str(label), content or b"")


def _idx(path: Path) -> Iterator[RawImage]:
    images = _idx_array(path, IDX_IMAGES)
    _check_some(path, len(images))
    beside = path.with_name(
        path.name.replace("images", "labels").replace("idx3-ubyte", "idx1-ubyte")
    )
    labels = [""] * len(images)
    if beside != path and beside.is_file():
        labels = [str(label) for label in _idx_array(beside, IDX_LABELS).tolist()]
        if len(labels) != len(images):
            raise InputError(
                f"{beside} has {len(labels)} labels for the {len(images)} images of {path.name}; "
                f"give the labels of these images, or move the file away"
            )
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield RawImage(f"image {row}", label, image)


def _idx_array(path: Path, kind: int) -> NDArray[np.uint8]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be unpacked: {error}") from error
    axes = kind % 256
    header = np.frombuffer(content[: 4 * (axes + 1)].ljust(4 * (axes + 1), b"\0"), ">i4")
    shape = tuple(header[1:].tolist())
    values = np.frombuffer(content, np.uint8, offset=min(len(content), 4 * (axes + 1)))
    if header[0] != kind or len(values) != np.prod(shape):
        raise InputError(f"{path} is no IDX file of {axes} axes, or it is cut off")
    return values.reshape(shape)


def _check_some(path: Path, count: int) -> None:
    if not count:
        raise InputError(
            f"{path} holds no images; files that end in {', '.join(sorted(SUFFIXES))} are read"
        )
