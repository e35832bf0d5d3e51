"""Checks of vectors, the same for fitting a tokenizer and for coding with it."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError

__all__ = ["check_finite", "check_trainable", "refuse_faults", "vector_faults"]

Vectors = NDArray[np.float32]
MAX_DISTANCE = 1e6  # largest distance of a component from the mean, in units of the spread
# Outside these bounds, sums of squares over all items overflow or underflow in float32.
MIN_SPREAD, MAX_SPREAD, MAX_COMPONENT = 1e-12, 1e12, 1e15
LARGEST_FLOAT = float(np.finfo(np.float32).max)
CHUNK = 8192
SAMPLE = 4096  # items from which a component's median is computed
# If the median item's squared distance is below this share of the mean squared distance, a few
# items hold nearly all of the spread, and most codes serve only them.
OUTLIER_SHARE = 0.01


def vector_faults(vectors: Vectors, mean: NDArray[np.floating], scale: float) -> dict[int, str]:
    """Return the faults of vectors (n, D), by row: NaN, infinity, all zero, or too far.

    Args:
        mean: (D,), of the training items.
        scale: the root mean square of the training items' centred components. The network overflows
            for a component farther than `MAX_DISTANCE` · scale from the mean.
    """
    return _faults(vectors, mean, MAX_DISTANCE * scale)


def _faults(vectors: Vectors, mean: NDArray[np.floating], farthest: float) -> dict[int, str]:
    faults: dict[int, str] = {}
    for rows, part in _chunks(vectors):
        with np.errstate(over="ignore", invalid="ignore"):
            near = np.abs(part - mean).max(axis=1, initial=0) <= farthest  # no NaN is
        right = near & part.any(axis=1)
        if right.all():
            continue
        for row in np.flatnonzero(np.logical_not(right)):
            what = "only zeros"
            if not np.isfinite(part[row]).all():
                what = "NaN or infinity"
            elif part[row].any():
                what = (
                    f"components beyond {MAX_DISTANCE:g} times the training items' spread from "
                    f"their mean"
                )
            faults[rows.start + int(row)] = what
    return faults


def refuse_faults(faults: Mapping[int, str], names: Sequence[str] | None = None) -> None:
    """Raise an error for the first vector that has a fault.

    Args:
        faults: the fault of each faulty row, by row number.
        names: item names for the message; without them it counts rows from 1.

    Raises:
        InputError: there is a fault.
    """
    if faults:
        row = min(faults)
        which = f"in row {row + 1}" if names is None else f"of item {names[row]!r}"
        raise InputError(f"the vector {which} has {faults[row]}; correct it or leave it out")


def check_finite(vectors: Vectors, names: Sequence[str] | None = None) -> None:
    """Check that every vector of (n, D) is finite and not all zero.

    Args:
        names: item names for the message; without them it counts rows from 1.

    Raises:
        InputError: a vector has NaN or infinity or is all zero; the message names the first.
    """
    refuse_faults(_faults(vectors, np.zeros(1, np.float32), LARGEST_FLOAT), names)


def check_trainable(vectors: Vectors, training: NDArray[np.int64] | None = None) -> None:
    """Check that a tokenizer can be fitted to vectors (n, D) and will be able to code each of them.

    If a few items hold nearly all of the spread, the other items share codes; the log then says so.

    Args:
        training: row numbers from which mean and scale are computed; None for all rows.

    Raises:
        InputError: as `check_finite`; a vector is too far from the mean; there are fewer than two
            vectors; all are the same; or float32 cannot hold sums at their scale.
    """
    if len(vectors) < 2:
        raise InputError(f"{len(vectors)} item is too few to fit a tokenizer; two are the least")
    check_finite(vectors)
    if not (vectors != vectors[0]).any():
        raise InputError("all items have the same vector; nothing tells them apart")
    largest = max(float(np.abs(part).max()) for _, part in _chunks(vectors))
    part = vectors if training is None else vectors[training]
    mean = part.mean(axis=0, dtype=np.float64)
    scale = float(np.sqrt(_squares(part, mean).sum() / part.size))
    if largest > MAX_COMPONENT or not MIN_SPREAD <= scale <= MAX_SPREAD:
        raise InputError(
            f"components of the vectors reach {largest:.2g} and spread by {scale:.2g} around their "
            f"mean; a tokenizer takes components up to {MAX_COMPONENT:g} and a spread of "
            f"{MIN_SPREAD:g} to {MAX_SPREAD:g}; multiply all vectors by one number, such as "
            f"the inverse of the spread, and leave out items that are far from all others"
        )
    refuse_faults(vector_faults(vectors, mean, scale))
    _warn_of_outliers(vectors)


def _warn_of_outliers(vectors: Vectors) -> None:
    sample = vectors[:: -(-len(vectors) // SAMPLE)]
    squares = _squares(vectors, np.median(sample, axis=0).astype(np.float64))
    if len(vectors) < 3 or np.median(squares) >= OUTLIER_SHARE * squares.mean():
        return
    farthest = int(squares.argmax())
    logging.getLogger(__name__).warning(
        "warning: the vector in row %d lies %.0f times as far from the middle as most; such items "
        "take nearly all of the spread, so that the others share codes; leave them out, or scale "
        "the columns alike",
        farthest + 1, float(np.sqrt(squares[farthest] / max(np.median(squares), 1e-300))),
    )  # fmt: skip


def _squares(vectors: Vectors, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distance of each vector from a point, (n,)."""
    return np.concatenate([np.square(part - centre).sum(axis=1) for _, part in _chunks(vectors)])


def _chunks(vectors: Vectors) -> Iterator[tuple[slice, Vectors]]:
    for start in range(0, len(vectors), CHUNK):
        rows = slice(start, start + CHUNK)
        yield rows, vectors[rows]
