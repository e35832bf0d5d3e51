"""The inverse of softplus, for parameters that softplus keeps positive."""

import math

__all__ = ["inverse_softplus"]


def inverse_softplus(value: float) -> float:
    """Return x with softplus(x) = `value` > 0."""
    return value + math.log(-math.expm1(-value))
