import pytest
import torch

from tokenizer.training.health import (
    level_health,
    prefix_sizes,
    relative_error,
    unique_share,
)


def test_levels_are_measured_each() -> None:
    codes = torch.tensor([[0, 1], [1, 1], [2, 1], [3, 1]])
    even, constant = level_health(codes, 8)
    assert (even.utilization, even.dead_codes) == (0.5, 4)
    assert even.perplexity == pytest.approx(4)
    assert (constant.utilization, constant.dead_codes) == (0.125, 7)
    assert constant.perplexity == pytest.approx(1)


def test_items_that_share_codes_are_not_unique() -> None:
    assert unique_share(torch.tensor([[0, 1], [0, 1], [0, 2], [1, 1]])) == 0.5


def test_the_mean_alone_loses_all_the_variance() -> None:
    x = torch.randn(100, 4) + 3
    mean = x.mean(0)
    assert relative_error(x, mean.expand_as(x), mean) == pytest.approx(1)
    assert relative_error(x, x, mean) == 0


def test_prefixes_are_counted_by_their_length() -> None:
    codes = torch.tensor([[0, 0], [0, 0], [0, 1], [1, 0]])
    assert prefix_sizes(codes) == [
        {"used": 2, "single": 0.5, "mean": 2.0},
        {"used": 3, "single": pytest.approx(2 / 3), "mean": pytest.approx(4 / 3)},
    ]
