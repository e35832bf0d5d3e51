"""The items of a study: vectors and categories, in memory or from files that need torch alone."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from data_prep.errors import InputError
from data_prep.storage.files import existing_file, written_aside
from tokenizer.study.records import digest_of

__all__ = ["StudyItems"]

FORMAT = "1"
MOST = 127  # largest number of a rounded vector
SEPARATOR = "\x1f"


@dataclass(frozen=True, eq=False)
class StudyItems:
    """A catalogue's vectors, with what a study measures them against.

    Items that were loaded from files travel to other processes as the files' paths.

    Attributes:
        vectors: (n, D) float32.
        labels: n categories; empty for an item without one.
        fingerprint: identifies the catalogue.
        paths: the files that these items were loaded from; none if they are in memory only.
    """

    vectors: NDArray[np.float32]
    labels: tuple[str, ...]
    fingerprint: str
    paths: tuple[Path, ...] = ()
    _devices: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the vectors."""
        return digest_of(self.vectors)

    def on(self, device: str) -> Tensor:
        """Return the vectors (n, D) on a device; they are moved there once."""
        if device not in self._devices:
            self._devices[device] = torch.tensor(self.vectors, device=device)
        return self._devices[device]

    def save(self, path: Path) -> None:
        """Write one `.safetensors` file, with each vector rounded to 8 bits a number.

        The rounding error is about 6e-5 of a vector's variance. A study of the file measures the
        rounded vectors.
        """
        scales = np.abs(self.vectors).max(1, keepdims=True).clip(min=1e-30) / MOST
        rounded = np.rint(self.vectors / scales).astype(np.int8)
        names = sorted(set(self.labels))
        numbers = {name: number for number, name in enumerate(names)}
        arrays = {
            "vectors": rounded,
            "scales": scales.astype(np.float32),
            "labels": np.asarray([numbers[label] for label in self.labels], dtype=np.int32),
        }
        notes = {
            "format": FORMAT, "fingerprint": self.fingerprint, "names": SEPARATOR.join(names)
        }  # fmt: skip
        with written_aside(path) as aside:
            save_file(arrays, aside, notes)

    @staticmethod
    def load(*paths: Path) -> "StudyItems":
        """Return the items of one file that `save` wrote, or of several, one after the other.

        Raises:
            InputError: a file cannot be read, or vectors differ in length.
        """
        return _load(paths)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.paths:
            return StudyItems.load, self.paths
        return StudyItems, (self.vectors, self.labels, self.fingerprint)


@lru_cache(maxsize=8)
def _load(paths: tuple[Path, ...]) -> StudyItems:
    parts = [_read(path) for path in paths]
    if len(parts) == 1:
        return parts[0]
    widths = {part.vectors.shape[1] for part in parts}
    if len(widths) > 1:
        raise InputError(f"{', '.join(map(str, paths))}: vectors of {sorted(widths)} numbers")
    prints = "+".join(part.fingerprint for part in parts)
    return StudyItems(
        np.concatenate([part.vectors for part in parts]),
        tuple(label for part in parts for label in part.labels),
        sha256(prints.encode()).hexdigest(),
        paths,
    )


def _read(path: Path) -> StudyItems:
    existing_file(path)
    try:
        with safe_open(path, "np") as file:
            notes = file.metadata() or {}
            if notes.get("format") != FORMAT:
                raise InputError(f"{path} was not written by semid compare --prepare-only")
            names = notes["names"].split(SEPARATOR)
            vectors = file.get_tensor("vectors").astype(np.float32) * file.get_tensor("scales")
            labels = tuple(names[number] for number in file.get_tensor("labels").tolist())
    except SafetensorError as error:
        raise InputError(f"{path} cannot be read as .safetensors: {error}") from error
    return StudyItems(vectors, labels, notes["fingerprint"], (path,))
