"""A tensor's gradient, which must be there."""

from torch import Tensor

__all__ = ["gradient"]


def gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad
