"""The index of a catalogue in a file, so that a start need not read the whole registry."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from data_prep.storage.files import written_aside
from service.registry.changes import Anchor
from tokenizer.index.semantic_index import EXACT, Probing

__all__ = ["IndexContents", "read_index", "write_index"]

FORMAT = "2"


@dataclass(frozen=True)
class IndexContents:
    """The contents of an index after a change.

    Attributes:
        keys: (n,) int64, numbers of the items.
        packed: (n, bytes of an item's codes) uint8.
        anchor: the last change that the index took in.
        probing: how many lists a search scans, so that a start need not measure it.
    """

    keys: NDArray[np.int64]
    packed: NDArray[np.uint8]
    anchor: Anchor
    probing: Probing = EXACT


def write_index(path: Path, contents: IndexContents, tokenizer: str, origin: str) -> None:
    """Write an index to `path`: first to a file beside it, which is then renamed.

    Args:
        tokenizer: the tokenizer's fingerprint.
        origin: the tokenizer's origin in its database (`service.registry.tokenizers`).

    Raises:
        InputError: the file cannot be written.
    """
    head = _head(tokenizer, origin, contents.anchor)
    arrays: dict[str, NDArray[Any]] = {"keys": contents.keys, "packed": contents.packed}
    with written_aside(path) as aside:
        probing = json.dumps(asdict(contents.probing))
        told = head | {"digest": _digest(contents, head), "probing": probing}
        aside.write_bytes(save(arrays, told))


def read_index(path: Path, tokenizer: str, origin: str) -> IndexContents:
    """Read what `write_index` wrote.

    Raises:
        ValueError: the file is damaged, or belongs to another tokenizer, database or format.
        OSError: the file cannot be read.
    """
    try:
        with safe_open(path, "numpy") as file:
            written: dict[str, str] = file.metadata() or {}
            anchor = Anchor(int(written["change"]), int(written["number"]), written["item_id"])
            told = json.loads(written["probing"])
            probing = Probing(int(told["lists"]), float(told["recall"]), int(told["items"]))
            keys, packed = file.get_tensor("keys"), file.get_tensor("packed")
            contents = IndexContents(keys, packed, anchor, probing)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"it is damaged ({error})") from error
    head = _head(tokenizer, origin, anchor)
    if any(written.get(name) != value for name, value in head.items()):
        raise ValueError("it belongs to another tokenizer, database or version")
    if written.get("digest") != _digest(contents, head):
        raise ValueError("it is damaged")
    return contents


def _head(tokenizer: str, origin: str, anchor: Anchor) -> dict[str, str]:
    return {
        "format": FORMAT,
        "tokenizer": tokenizer,
        "origin": origin,
        "change": str(anchor.change),
        "number": str(anchor.number),
        "item_id": anchor.item_id,
    }


def _digest(contents: IndexContents, head: dict[str, str]) -> str:
    told = repr((sorted(head.items()), contents.probing))
    digest = hashlib.blake2b(told.encode())
    digest.update(np.ascontiguousarray(contents.keys).tobytes())
    digest.update(np.ascontiguousarray(contents.packed).tobytes())
    return digest.hexdigest()
