"""Records of runs on disk; a run with a record is not made again."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.storage.files import written_aside
from tokenizer.config import FitConfig

__all__ = ["digest_of", "file_name", "keep", "kept", "plain"]


def digest_of(vectors: NDArray[np.float32]) -> str:
    """Return the SHA-256 of vectors."""
    return hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()


def file_name(name: str) -> str:
    """Return a row's name in a form that a file name can contain."""
    return re.sub(r"\W+", "-", name)


def plain(config: FitConfig) -> Any:
    """Return a configuration as JSON values."""
    return json.loads(json.dumps(asdict(config)))


def kept(
    path: Path, config: FitConfig, data_fingerprint: str, digest: str, device: str
) -> dict[str, Any] | None:
    """Return the record in `path` if its configuration, data and device are these, else None."""
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text())
    same = (
        record["config"] == plain(config)
        and record.get("vectors") == digest
        and record.get("trained_on", {"device": "cpu"})["device"] == device
        and record["record"]["data_fingerprint"] == data_fingerprint
    )
    return record if same else None


def keep(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record atomically."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(record, indent=2))
