import pytest
import torch

from tokenizer.study.meaning import neighbours_kept, prefix_meaning


def test_all_neighbours_stay_where_nothing_is_lost_and_few_where_all_is() -> None:
    x = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    other = torch.randn(300, 8, generator=torch.Generator().manual_seed(1))
    assert neighbours_kept(x, x, seed=0) == 1
    assert neighbours_kept(x, x.mean(0) + 3 * (x - x.mean(0)), seed=0) == 1
    assert neighbours_kept(x, other, seed=0) < 0.1
    assert 0.2 < neighbours_kept(x, x + 0.5 * other, seed=0) < 0.9


def test_a_prefix_that_is_the_category_tells_all_of_it() -> None:
    codes = torch.tensor([[0, 5], [0, 6], [1, 5], [1, 7]] * 50)
    labels = ["a", "a", "b", "b"] * 50
    first, both = prefix_meaning(codes, labels, seed=0)
    assert first["score"] == pytest.approx(1)
    assert first["shuffled"] < 0.1
    assert both["score"] < 1
    assert prefix_meaning(codes, [""] * 200, seed=0)[0] == {"score": 0.0, "shuffled": 0.0}


def test_items_without_a_category_are_left_out() -> None:
    codes = torch.tensor([[0], [1], [0], [1], [2]])
    assert prefix_meaning(codes, ["a", "b", "a", "b", ""], seed=0)[0]["score"] == pytest.approx(1)
