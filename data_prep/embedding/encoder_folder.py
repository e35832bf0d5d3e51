"""The folder of a fitted encoder: configuration, weights, and the tokens if its kind has any."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from data_prep.errors import InputError
from data_prep.storage.durable import recover
from data_prep.storage.files import written_aside

__all__ = [
    "FILES",
    "FORMAT",
    "Arrays",
    "is_fitted_encoder",
    "kind_of",
    "read_encoder",
    "write_encoder",
]

FORMAT = 1
FILES = CONFIG, WEIGHTS, TOKENS = "encoder.json", "weights.safetensors", "tokenizer.json"
COMMAND = "semid fit-encoder"
Arrays = Mapping[str, NDArray[np.float32]]


class _Fitted(Protocol):
    @property
    def revision(self) -> str: ...


Fitted = TypeVar("Fitted", bound=_Fitted)


def read_encoder(folder: Path, make: Callable[[dict[str, Any], Arrays, str], Fitted]) -> Fitted:
    """Make the encoder that `write_encoder` wrote.

    Args:
        make: takes the configuration, the weights and the tokens ("" where there are none), and
            raises a KeyError for a value that it misses.

    Raises:
        InputError: a file is missing, damaged, of another format, or has changed.
    """
    recover(folder)
    try:
        body = json.loads((folder / CONFIG).read_text())
        if body["format"] != FORMAT:
            raise InputError(f"{folder} has format {body['format']!r}; run {COMMAND} again")
        tokens = (folder / TOKENS).read_text() if (folder / TOKENS).exists() else ""
        encoder = make(body, load((folder / WEIGHTS).read_bytes()), tokens)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{folder} is not a fitted encoder: {error}; give the folder of {COMMAND}"
        ) from error
    if encoder.revision != body.get("revision"):
        raise InputError(
            f"{folder} has changed since {COMMAND} wrote it; restore it from a copy, or fit it "
            f"again"
        )
    return encoder


def write_encoder(
    folder: Path, body: Mapping[str, object], weights: Arrays, tokens: str | None = None
) -> None:
    """Write an encoder; the folder appears whole or not at all.

    Args:
        body: configuration, with `format`, `kind` and `revision`.
        tokens: the JSON of the library tokenizers, where texts are split by it.

    Raises:
        InputError: the folder cannot be written.
    """
    with written_aside(folder, FILES) as aside:
        (aside / WEIGHTS).write_bytes(save(dict(weights)))
        if tokens is not None:
            (aside / TOKENS).write_text(tokens)
        (aside / CONFIG).write_text(json.dumps(dict(body), indent=2))


def kind_of(folder: Path) -> str:
    """Return the kind of a fitted encoder, as its folder names it; empty if it names none."""
    try:
        return str(json.loads((folder / CONFIG).read_text())["kind"])
    except (OSError, KeyError, TypeError, ValueError):
        return ""


def is_fitted_encoder(folder: Path) -> bool:
    """Return whether a folder has the files of a fitted encoder."""
    return (folder / CONFIG).is_file()
