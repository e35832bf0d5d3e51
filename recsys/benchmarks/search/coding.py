"""A tokenizer fitted to a search data set's content vectors, and the codes that it gives."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_prep.errors import InputError
from data_prep.text import TextTemplate
from recsys.search.data.dataset import SearchDataset
from tokenizer.config import CATALOGUE_BATCH, FitConfig
from tokenizer.pipeline import Pipeline
from tokenizer.training.fit import fit
from tokenizer.training.health import unique_share

__all__ = ["coded"]

SAMPLE = 200_000  # items that a tokenizer is fitted to, at most


def coded(
    dataset: SearchDataset,
    config: FitConfig,
    folder: Path,
    device: str = "cpu",
    progress: Callable[[int, Any], None] | None = None,
) -> tuple[SearchDataset, dict[str, Any]]:
    """Return the data set with codes, and what records say of the tokenizer.

    A tokenizer in `folder` is used again if it was fitted to the same vectors with the same
    configuration. Of more than `SAMPLE` items a random sample trains it.

    Raises:
        InputError: the data has no vectors, or they cannot be used.
    """
    if dataset.vectors is None:
        raise InputError("the data has no content vectors; prepare it with an encoder")
    vectors = dataset.vectors
    digest = hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()
    pipeline = _kept(folder, config, digest, device)
    if pipeline is None:
        sample = vectors
        if len(vectors) > SAMPLE:
            rows = np.random.default_rng(0).choice(len(vectors), SAMPLE, replace=False)
            sample = vectors[np.sort(rows)]
        fit(
            folder, sample, config, TextTemplate(), None, digest,
            baseline=False, progress=progress, device=device,
        )  # fmt: skip
        pipeline = Pipeline.load(folder, device)
    parts = [
        pipeline.tokenize(vectors[start : start + CATALOGUE_BATCH]).codes
        for start in range(0, len(vectors), CATALOGUE_BATCH)
    ]
    codes = np.concatenate(parts)
    entry = {
        "fingerprint": pipeline.fingerprint,
        "held_out_error": pipeline.metrics["held_out_error"],
        "unique_share": unique_share(torch.from_numpy(codes.astype(np.int64))),
        "training_seconds": pipeline.metrics["training_seconds"],
        "config": json.loads(json.dumps(asdict(config))),
    }
    found = replace(
        dataset,
        codes=codes,
        codebooks=pipeline.codebooks,
        codebook_size=pipeline.codebook_size,
        tokenizer=pipeline.fingerprint,
    )
    return found, entry


def _kept(folder: Path, config: FitConfig, digest: str, device: str) -> Pipeline | None:
    if not (folder / "config.json").is_file():
        return None
    pipeline = Pipeline.load(folder, device)
    made_of = pipeline.metrics["record"]["data_fingerprint"]
    return pipeline if (pipeline.config.training, made_of) == (config, digest) else None
