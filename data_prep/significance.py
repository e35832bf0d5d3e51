"""Tests whether one system is better than another, paired over the same users or items.

The paired t-test and the bootstrap agree on such differences (Smucker, Allan & Carterette, CIKM
2007). Holm's correction (1979) bounds the chance of any false finding in a table of comparisons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Comparison", "holm", "paired_bootstrap", "paired_t", "paired_tests"]

RESAMPLES = 10_000
DRAWN_AT_ONCE = 4_000_000  # numbers, to bound memory


@dataclass(frozen=True)
class Comparison:
    """One metric of a system against that of a baseline.

    Attributes:
        difference: mean of the system's values minus the baseline's.
        low, high: the 95 % bootstrap percentile interval of the difference.
        p_t, p_bootstrap: two-sided p-values of the hypothesis that there is no difference.
        p_holm: `p_t` corrected for all comparisons of the table.
    """

    system: str
    baseline: str
    metric: str
    difference: float
    low: float
    high: float
    p_t: float
    p_bootstrap: float
    p_holm: float


def paired_t(system: ArrayLike, baseline: ArrayLike) -> float:
    """Return the two-sided p of Student's paired t-test.

    Args:
        system, baseline: (n,) values of the same n ≥ 2 users or items.

    Returns:
        The p-value; 1 if no values differ, 0 if all differ by the same amount.

    Raises:
        ValueError: the shapes differ or hold fewer than two users, or a value is not finite.
    """
    from scipy.special import stdtr

    difference = _difference(system, baseline)
    n = len(difference)
    if (difference == difference[0]).all():
        return float(difference[0] == 0)
    t = difference.mean() / (difference.std(ddof=1) / np.sqrt(n))
    return float(2 * stdtr(n - 1, -abs(t)))


def paired_bootstrap(
    system: ArrayLike, baseline: ArrayLike, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """Resample the users with replacement, and return p and interval of the mean difference.

    Users with the same difference are drawn together, as one multinomial count. The distribution is
    the same as drawing users one by one, and a metric with few values needs far fewer draws.

    Returns:
        The two-sided p-value (1 + #{|m* − m| ≥ |m|}) / (1 + resamples), where m is the mean
        difference (Efron & Tibshirani 1993, §16.4); low and high end of m's 95 % percentile
        interval.

    Raises:
        ValueError: as `paired_t`.
    """
    difference = _difference(system, baseline)
    values, counts = np.unique(difference, return_counts=True)
    n, mean = len(difference), difference.mean()
    generator = np.random.default_rng(seed)
    drawn = np.empty(resamples)
    rows = max(1, DRAWN_AT_ONCE // len(values))
    for start in range(0, resamples, rows):
        part = drawn[start : start + rows]
        part[:] = generator.multinomial(n, counts / n, size=len(part)) @ values / n
    slack = 1e-12 * np.abs(difference).max()  # the order of a sum changes its last bits
    as_far = int((np.abs(drawn - mean) >= abs(mean) - slack).sum())
    low, high = np.quantile(drawn, (0.025, 0.975))
    return (1 + as_far) / (1 + resamples), float(low), float(high)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's step-down adjusted p-values of m tests, in the order given.

    The i-th smallest p is multiplied by m − i + 1, raised to the largest adjusted value before it,
    and capped at 1.

    Raises:
        ValueError: `p` is not one row of numbers from 0 to 1.
    """
    given = np.asarray(p, dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise ValueError("p-values are one row of numbers from 0 to 1")
    order = np.argsort(given, kind="stable")
    raised = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted


def paired_tests(
    systems: Mapping[str, Mapping[str, NDArray[np.float64]]],
    baseline: str,
    metrics: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Comparison]:
    """Compare every system with `baseline` on every metric, and correct all p-values by Holm.

    Args:
        systems: by name, the values of every user by metric, as
            `recsys.evaluation.metrics.per_user` returns them.

    Raises:
        KeyError: no such system or metric.
        ValueError: as `paired_t`.
    """
    pairs = [(name, metric) for name in systems if name != baseline for metric in metrics]
    values = [(systems[name][metric], systems[baseline][metric]) for name, metric in pairs]
    p_t = [paired_t(*both) for both in values]
    rows = zip(pairs, values, p_t, holm(p_t), strict=True)
    return [
        Comparison(
            system=name,
            baseline=baseline,
            metric=metric,
            difference=float(_difference(*both).mean()),
            low=low,
            high=high,
            p_t=p,
            p_bootstrap=p_bootstrap,
            p_holm=float(corrected),
        )
        for (name, metric), both, p, corrected in rows
        for p_bootstrap, low, high in [paired_bootstrap(*both, resamples, seed)]
    ]


def _difference(system: ArrayLike, baseline: ArrayLike) -> NDArray[np.float64]:
    first, second = (np.asarray(values, dtype=np.float64) for values in (system, baseline))
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise ValueError(
            f"values of shapes {first.shape} and {second.shape}; values of the same users, at "
            f"least two, are needed"
        )
    difference: NDArray[np.float64] = first - second
    if not np.isfinite(difference).all():
        raise ValueError("a value is not a finite number")
    return difference
