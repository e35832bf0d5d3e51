"""Vectors → a trained, measured and saved tokenizer."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data_prep.embedding.devices import full_precision
from data_prep.embedding.encoders import Encoder, weights_to_keep
from data_prep.errors import InputError
from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.storage.record import library_versions, run_record, trained_on
from data_prep.text import TextTemplate
from tokenizer import artifact
from tokenizer.config import FitConfig
from tokenizer.ids.policy import Policy
from tokenizer.model.vector_checks import check_trainable
from tokenizer.options import check_training
from tokenizer.training.health import level_health, prefix_sizes, unique_share
from tokenizer.training.loop import TrainedTokenizer, train
from tokenizer.training.monitor import CodingQuality, evaluate
from tokenizer.training.split import split_rows

__all__ = ["fit", "fit_frozen"]

MOST_BASELINE_BITS = 10


def fit(
    folder: Path,
    vectors: NDArray[np.float32],
    training: FitConfig,
    text: TextTemplate,
    encoder: Encoder | None,
    data_fingerprint: str,
    baseline: bool = True,
    progress: Callable[[int, CodingQuality | None], None] | None = None,
    policy: Policy = "suffix",
    device: str = "cpu",
    mapping: ColumnMapping | None = None,
    name: str = "",
    catalogue_items: int | None = None,
) -> artifact.TokenizerArtifact:
    """Train on vectors (n, D), measure on all of them, and save.

    Args:
        folder: output folder, written atomically. FOLDER.training beside it keeps the state of a
            stopped training; the next fit resumes from it. The other arguments are those of
            `fit_frozen`.
        name: what people call the tokenizer; empty for the folder's name.

    Raises:
        InputError: as `fit_frozen`; or the folder cannot be written.
    """
    checkpoint = folder.with_name(f"{folder.name}.training") / "checkpoint.pt"
    frozen = fit_frozen(
        vectors, training, text, encoder, data_fingerprint, baseline, progress, policy, device,
        checkpoint, mapping, catalogue_items,
    )  # fmt: skip
    frozen = replace(frozen, name=name or folder.resolve().name)
    artifact.write(folder, frozen)
    shutil.rmtree(checkpoint.parent, ignore_errors=True)
    return frozen


def fit_frozen(
    vectors: NDArray[np.float32],
    training: FitConfig,
    text: TextTemplate,
    encoder: Encoder | None,
    data_fingerprint: str,
    baseline: bool = True,
    progress: Callable[[int, CodingQuality | None], None] | None = None,
    policy: Policy = "suffix",
    device: str = "cpu",
    checkpoint: Path | None = None,
    mapping: ColumnMapping | None = None,
    catalogue_items: int | None = None,
) -> artifact.TokenizerArtifact:
    """Train on vectors (n, D), measure on all of them, and freeze.

    Args:
        encoder: the encoder of the vectors; None for the user's own vectors.
        data_fingerprint: SHA-256 of the catalogue.
        baseline: also train FAISS's residual quantizer on these vectors, and put its errors into
            the metrics.
        policy: how items with the same codes are told apart.
        device: where the tokenizer trains, as `data_prep.embedding.devices.resolve_device` returns
            it; FAISS always trains on the CPU.
        checkpoint: file that keeps the state of a stopped training.
        mapping: how rows of the catalogue became items.
        catalogue_items: number of items that the vectors are a sample of; None if they are all.

    Raises:
        InputError: the configuration cannot be built; there are fewer than two items; the vectors
            cannot be used; or the loss is no longer finite.
    """
    started = time.perf_counter()
    check_training(training)
    split = split_rows(len(vectors), training.held_out, training.seed)
    check_trainable(vectors, split.training.numpy())
    full_precision()
    x = torch.tensor(vectors, device=device)
    try:
        result = train(x, training, progress, checkpoint)
    except FloatingPointError as error:
        raise InputError(f"training stopped: {error}") from error
    if result.model.mark_crowded(x):
        result = replace(result, best=evaluate(result.model, result.best.step, x, split))
    config = artifact.TokenizerConfig(
        format=artifact.FORMAT,
        dimension=vectors.shape[1],
        training=training,
        text=text,
        encoder=None if encoder is None else artifact.EncoderReference.of(encoder),
        policy=policy,
        versions=library_versions(),
        mapping=None if mapping is None or mapping.plain else mapping,
    )
    metrics = _measure(vectors, training, result) | {"trained_on": trained_on(device)}
    if catalogue_items is not None and catalogue_items > len(vectors):
        metrics["sampled_from"] = catalogue_items
    if baseline:
        metrics["faiss_residual_quantizer"] = _baseline(vectors, training)
    metrics["record"] = run_record(training.seed, data_fingerprint, time.perf_counter() - started)
    return artifact.freeze(config, result.model, metrics, weights_to_keep(encoder))


def _measure(
    vectors: NDArray[np.float32], training: FitConfig, result: TrainedTokenizer
) -> dict[str, Any]:
    codes = result.model.encode(torch.tensor(vectors, device=result.model.mean.device)).cpu()
    health = level_health(codes, training.quantizer.codebook_size)
    return {
        "items": len(vectors),
        "train_error": result.best.train_error,
        "validation_error": result.best.validation_error,
        "held_out_error": result.best.held_out_error,
        "unique_share": unique_share(codes),
        "levels": [level.as_dict() for level in health],
        "prefixes": prefix_sizes(codes),
        "training_seconds": round(result.seconds, 2),
        "best_step": result.best.step,
        "history": [asdict(measured) for measured in result.history],
        "events": [asdict(event) for event in result.events],
    }


def _baseline(vectors: NDArray[np.float32], training: FitConfig) -> dict[str, Any]:
    """Measure FAISS on the same split, if its training takes a reasonable time."""
    from tokenizer.training.faiss_baseline import faiss_residual_baseline

    split = split_rows(len(vectors), training.held_out, training.seed)
    bits = max(1, (training.quantizer.codebook_size - 1).bit_length())
    if len(split.training) < 2**bits:
        return {"skipped": f"fewer training items than its {2**bits} codewords"}
    if bits > MOST_BASELINE_BITS:
        return {"skipped": f"{bits} bits a level take it hours"}
    found = faiss_residual_baseline(
        vectors[split.training.numpy()],
        vectors[split.held_out.numpy()],
        training.quantizer.levels,
        bits,
        seed=training.seed,
    )
    return asdict(found)
