"""The most probable numbers: known solutions, whatever the blocks."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recsys.models.most_probable import most_probable

PRIOR = torch.tensor([0.5, -1.0, 2.0])


def test_without_observations_the_prior_stays() -> None:
    assert most_probable(lambda numbers: [], PRIOR, 1, 5).equal(PRIOR)


@pytest.mark.parametrize("blocks", [1, 7])
def test_normal_observations_have_the_solution_of_ridge_regression(blocks: int) -> None:
    torch.manual_seed(0)
    features, targets = torch.randn(50, 3), torch.randn(50)

    def losses(numbers: Tensor) -> Iterator[Tensor]:
        for rows in torch.arange(50).chunk(blocks):
            yield (features[rows] @ numbers - targets[rows]).square().sum() / 2

    found = most_probable(losses, PRIOR, 50, 30)
    expected = torch.linalg.solve(
        features.T @ features + torch.eye(3), features.T @ targets + PRIOR
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_the_gradient_of_a_softmax_regression_vanishes() -> None:
    torch.manual_seed(0)
    features, choices = torch.randn(80, 5, 3), torch.randint(5, (80,))

    def losses(numbers: Tensor) -> Iterator[Tensor]:
        yield functional.cross_entropy(features @ numbers, choices, reduction="sum")

    found = most_probable(losses, PRIOR, 80, 30).requires_grad_()
    loss = next(losses(found)) + (found - PRIOR).square().sum() / 2
    [gradient] = torch.autograd.grad(loss, found)
    assert float(gradient.abs().max()) < 0.05
