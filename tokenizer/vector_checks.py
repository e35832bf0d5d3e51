"""Vectors that a tokenizer can be fitted to, and those that a fitted one can code: one rule."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError

__all__ = ["check_finite", "check_near", "check_trainable"]

Vectors = NDArray[np.float32]
FARTHEST = 1e6  # of a component from the mean, in the training items' spread
# Beyond these, sums of squares over all items leave float32.
LEAST_SPREAD, LARGEST_SPREAD, LARGEST = 1e-12, 1e12, 1e15
CHUNK = 8192
SAMPLE = 4096  # items, for the median of a component
# Where the median item's squared distance is this small a share of the mean one, few items hold
# nearly all of the spread, and the codes are spent on them.
FEW_HOLD_ALL = 0.01


def check_finite(vectors: Vectors, names: Sequence[str] | None = None) -> None:
    """See that every vector of (n, D) is finite and has a direction.

    Args:
        names: of the items, for the message; rows are counted from 1 without.

    Raises:
        InputError: NaN, infinity, or a zero vector; names the first.
    """
    _refuse(np.logical_not(np.isfinite(vectors).all(axis=1)), "NaN or infinity", names)
    _refuse(np.logical_not(vectors.any(axis=1)), "only zeros", names)


def check_near(
    vectors: Vectors,
    mean: NDArray[np.floating],
    scale: float,
    names: Sequence[str] | None = None,
) -> None:
    """See that vectors (n, D) are not so far from the training items that a network overflows.

    Args:
        mean: (D,), of the training items.
        scale: the root mean square of their centred components.

    Raises:
        InputError: a component is farther from the mean than `FARTHEST` times the scale.
    """
    for rows, part in _chunks(vectors):
        far = np.abs(part - mean).max(axis=1, initial=0) > FARTHEST * scale
        own = None if names is None else names[rows]
        _refuse(
            far, f"components beyond {FARTHEST:g} times the training items' spread from their mean",
            own, rows.start,
        )  # fmt: skip


def check_trainable(vectors: Vectors, training: NDArray[np.int64] | None = None) -> None:
    """See that a tokenizer can be fitted to vectors (n, D), and that it will code each of them.

    Where a few items hold nearly all of the spread, so that the others share codes, the log says
    so.

    Args:
        training: the rows that mean and scale are taken from; all where None.

    Raises:
        InputError: as `check_finite` and `check_near`; fewer than two vectors; all the same; a
            scale that float32 cannot be computed with.
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
    if largest > LARGEST or not LEAST_SPREAD <= scale <= LARGEST_SPREAD:
        raise InputError(
            f"components of the vectors reach {largest:.2g} and spread by {scale:.2g} around their "
            f"mean; a tokenizer takes components up to {LARGEST:g} and a spread of "
            f"{LEAST_SPREAD:g} to {LARGEST_SPREAD:g}; multiply all vectors by one number, such as "
            f"the inverse of the spread, and leave out items that are far from all others"
        )
    check_near(vectors, mean, scale)
    _tell_outliers(vectors)


def _tell_outliers(vectors: Vectors) -> None:
    sample = vectors[:: -(-len(vectors) // SAMPLE)]
    squares = _squares(vectors, np.median(sample, axis=0).astype(np.float64))
    if len(vectors) < 3 or np.median(squares) >= FEW_HOLD_ALL * squares.mean():
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


def _refuse(
    wrong: NDArray[np.bool_], what: str, names: Sequence[str] | None = None, first: int = 0
) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        which = f"in row {first + row + 1}" if names is None else f"of item {names[row]!r}"
        raise InputError(f"the vector {which} has {what}; correct it or leave it out")
