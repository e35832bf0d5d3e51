"""The most probable numbers under a normal prior, found with L-BFGS."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

__all__ = ["most_probable"]


def most_probable(
    losses: Callable[[Tensor], Iterable[Tensor]], prior: Tensor, count: int, iterations: int
) -> Tensor:
    """Return the numbers (f,) with the least loss.

    The loss is the sum of `losses` and of half the squared distance from the prior's mean.

    Args:
        losses: takes the numbers, and returns the negative log-probability of each block of
            observations; one block's graph at a time is kept.
        prior: (f,), the mean of a normal prior with variance 1, and the start.
        count: of observations; it keeps the loss in a range that L-BFGS likes.
        iterations: of L-BFGS.
    """
    found = prior.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [found], max_iter=iterations, history_size=iterations, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        optimizer.zero_grad()
        value = (found - prior).square().sum() / 2 / count
        torch.autograd.backward(value)
        total = value.item()
        for block in losses(found):
            value = block / count
            torch.autograd.backward(value)
            total += value.item()
        return total

    step: Callable[[Callable[[], float]], Tensor] = optimizer.step
    with torch.enable_grad():
        step(loss)
    return found.detach()
