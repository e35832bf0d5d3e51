"""Records of runs on disk; a run with a record is not made again."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.storage.files import written_aside
from tokenizer.config import FitConfig

__all__ = ["digest_of", "file_name", "keep", "kept", "plain", "shortened"]

KEPT = (
    "name", "config", "items", "train_error", "validation_error", "held_out_error", "levels",
    "unique_share", "collisions", "rate_distortion", "neighbours_kept", "prefix_meaning",
    "training_seconds", "step_milliseconds", "encode_items_per_second", "parameters", "events",
    "vectors", "record", "trained_on",
)  # fmt: skip
TOLD = ("step", "train_error", "validation_error", "utilization", "dead_codes")


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


def shortened(
    table: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    trials: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return a comparison without what takes much room: gradients' norms and losses by item.

    Args:
        table: rows, as `tokenizer.study.comparison.summarise` returns them.
        runs, trials: records.
    """
    return {
        "rows": [_rounded(row) for row in table],
        "runs": [
            {key: _rounded(run[key]) for key in KEPT if key in run}
            | {"history": [{key: _rounded(each[key]) for key in TOLD} for each in run["history"]]}
            for run in runs
        ],
        "trials": [
            {key: _rounded(trial[key]) for key in ("name", "options", "steps", "validation_error")}
            for trial in trials
        ],
    }


def _rounded(value: Any) -> Any:
    """Return JSON values with six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else value


def keep(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record atomically."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(record, indent=2))
