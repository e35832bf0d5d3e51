from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.conftest import SMALL
from tokenizer.training import split_held_out, train


def test_one_seed_gives_one_model_and_another_seed_another(vectors: NDArray[np.float32]) -> None:
    x = torch.from_numpy(vectors)
    first, second = train(x, SMALL), train(x, SMALL)
    assert first.history == second.history
    states = first.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = train(x, replace(SMALL, seed=1))
    assert not torch.equal(first.model.encode(x), other.model.encode(x))


def test_training_lowers_the_error_and_uses_the_codebooks(vectors: NDArray[np.float32]) -> None:
    result = train(torch.from_numpy(vectors), SMALL)
    assert result.history[-1].train_error < result.history[0].train_error < 1
    assert result.best.held_out_error == min(e.held_out_error for e in result.history)
    assert all(utilization > 0.9 for utilization in result.best.utilization)
    assert not result.model.training


def test_it_stops_when_the_held_out_error_no_longer_falls(vectors: NDArray[np.float32]) -> None:
    """With a learning rate of almost nothing no measurement is better than an early one."""
    config = replace(SMALL, steps=2000, learning_rate=1e-12, patience=2, separation=0.0)
    result = train(torch.from_numpy(vectors), config)
    assert result.history[-1].step < 2000


def test_progress_hears_of_every_step(vectors: NDArray[np.float32]) -> None:
    heard: list[tuple[int, bool]] = []
    train(
        torch.from_numpy(vectors),
        SMALL,
        lambda step, measured: heard.append((step, measured is not None)),
    )
    assert [step for step, _ in heard] == list(range(1, 81))
    assert [step for step, measured in heard if measured] == [40, 60, 80]


def test_a_loss_that_is_not_finite_names_its_step(vectors: NDArray[np.float32]) -> None:
    with pytest.raises(FloatingPointError, match="at step"):
        train(torch.from_numpy(vectors), replace(SMALL, learning_rate=1e30))


def test_torchs_global_state_is_left_alone(vectors: NDArray[np.float32]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(torch.from_numpy(vectors), replace(SMALL, steps=2))
    assert torch.equal(torch.rand(1), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_held_out_items_are_apart_from_the_others() -> None:
    train_rows, held = split_held_out(100, 0.1, seed=0)
    assert (len(train_rows), len(held)) == (90, 10)
    assert sorted([*train_rows.tolist(), *held.tolist()]) == list(range(100))
    assert split_held_out(5, 0.1, seed=0)[0].tolist() == [0, 1, 2, 3, 4]
