"""FAISS's own residual quantizer on the raw vectors: a strong, cheap baseline."""

import time
from dataclasses import dataclass

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from tokenizer.training.health import relative_error

__all__ = ["FaissBaseline", "faiss_residual_baseline"]

MOST_TRAINING_ROWS = 65_536


@dataclass(frozen=True)
class FaissBaseline:
    """Relative reconstruction errors of `faiss.ResidualQuantizer` and its training time.

    `held_out_error` is None if no item was held out.
    """

    levels: int
    bits: int
    beam: int
    train_error: float
    held_out_error: float | None
    seconds: float


def faiss_residual_baseline(
    training: NDArray[np.float32],
    held_out: NDArray[np.float32],
    levels: int,
    bits: int,
    beam: int = 5,
    seed: int = 0,
) -> FaissBaseline:
    """Train on vectors (n, D) and measure both parts; errors are relative to the training mean.

    Args:
        levels, bits: the code's length; each level has 2^bits codewords.
        beam: paths kept in training and encoding; 5 is FAISS's default.
        seed: chooses `MOST_TRAINING_ROWS` rows to train on if there are more.
    """
    started = time.perf_counter()
    quantizer = faiss.ResidualQuantizer(training.shape[1], levels, bits)
    quantizer.max_beam_size = beam
    quantizer.cp.min_points_per_centroid = 1  # no warning about few points
    drawn = np.random.default_rng(seed).permutation(len(training))[:MOST_TRAINING_ROWS]
    few = training[np.sort(drawn)]
    # FAISS's PCA needs at least as many vectors as dimensions.
    few = np.tile(few, (-(-training.shape[1] // len(few)), 1))
    quantizer.train(np.ascontiguousarray(few))
    seconds = time.perf_counter() - started
    mean = torch.from_numpy(training.mean(0))

    def error(part: NDArray[np.float32]) -> float | None:
        if not len(part):
            return None
        decoded = quantizer.decode(quantizer.compute_codes(np.ascontiguousarray(part)))
        return relative_error(torch.from_numpy(part), torch.from_numpy(decoded), mean)

    return FaissBaseline(levels, bits, beam, error(training) or 0.0, error(held_out), seconds)
