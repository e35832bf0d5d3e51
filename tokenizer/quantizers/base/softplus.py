"""Positive numbers that are learnt through softplus."""

import math

__all__ = ["inverse_softplus"]


def inverse_softplus(value: float) -> float:
    """Return x with softplus(x) = `value` > 0."""
    return value + math.log(-math.expm1(-value))
