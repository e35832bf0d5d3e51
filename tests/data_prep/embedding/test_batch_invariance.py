"""Blocks: a row's result is that of the largest, whatever is beside it."""

import threading
from collections.abc import Iterator
from functools import reduce

import pytest
import torch
from torch import Tensor

from data_prep.embedding.batch_invariance import (
    BlockSizes,
    blockwise,
    computing_threads,
    differs_on_one_thread,
    identical_block_sizes,
    one_thread,
    usable_threads,
)

SIZES = (64, 32, 8)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("rows", "blocks"),
    [
        (0, [8]),
        (1, [8]),
        (8, [8]),
        (9, [32]),
        (33, [64]),
        (64, [64]),
        (72, [64, 8]),
        (140, [64, 64, 32]),
    ],
)
def test_what_is_left_has_the_smallest_block_that_holds_it(rows: int, blocks: list[int]) -> None:
    seen: list[int] = []

    def doubled(block: Tensor) -> Tensor:
        seen.append(len(block))
        return 2 * block

    given = torch.arange(3.0 * rows).view(rows, 3)
    assert torch.equal(blockwise(doubled, given, SIZES), 2 * given)
    assert seen == blocks


def _noise() -> Tensor:
    return torch.randn(64, 5, generator=torch.Generator().manual_seed(0))


class Summed:
    """Sums the terms of a row, in the other order where the block has certain numbers of rows."""

    def __init__(self, reversed_at: frozenset[int]) -> None:
        self.reversed_at = reversed_at
        self.blocks: list[int] = []

    def __call__(self, block: Tensor) -> Tensor:
        self.blocks.append(len(block))
        terms = block.unbind(1)
        return reduce(torch.add, terms[::-1] if len(block) in self.reversed_at else terms)


def _other_order(*rows: int) -> Summed:
    return Summed(frozenset(rows))


def _placed(block: Tensor) -> Tensor:
    return block * torch.arange(1, len(block) + 1).unsqueeze(1)


def test_a_size_that_gives_other_bits_is_left_out() -> None:
    assert identical_block_sizes(_other_order(32), _noise(), SIZES) == (64, 8)
    assert identical_block_sizes(lambda block: block * 2, _noise(), SIZES) == SIZES
    assert identical_block_sizes(lambda block: block + len(block), _noise(), SIZES) == (64,)


def test_rows_go_one_by_one_where_their_place_matters() -> None:
    noise = _noise()
    assert identical_block_sizes(_placed, noise, SIZES) == (1,)
    assert torch.equal(blockwise(_placed, noise, (1,)), noise)
    assert blockwise(_placed, noise[:0], (1,)).shape == (0, 5)
    assert BlockSizes(_placed, noise, 8).of(40) == (1,)


def test_a_rest_has_the_first_size_that_gives_the_same_bits() -> None:
    sizes = BlockSizes(_other_order(8, 16, 40, 48, 56), _noise(), step=8)
    assert [sizes.of(rows) for rows in (3, 24, 25, 64, 65)] == [
        (64, 24),
        (64, 24),
        (64, 32),
        (64,),
        (64, 24),
    ]
    assert sizes.of(33) == (64,)


def test_a_size_is_compared_once() -> None:
    summed = _other_order()
    sizes = BlockSizes(summed, _noise(), step=8)
    sizes.of(24)
    before = len(summed.blocks)
    assert sizes.of(88) == (64, 24)
    assert len(summed.blocks) == before


@pytest.mark.usefixtures("two_threads")
def test_threads_that_change_bits_are_seen() -> None:
    def by_threads(block: Tensor) -> Tensor:
        return block + torch.get_num_threads() * 1e-3

    assert differs_on_one_thread(by_threads, _noise(), 8)
    assert not differs_on_one_thread(_other_order(), _noise(), 8)
    with one_thread():
        assert not differs_on_one_thread(by_threads, _noise(), 8)


@pytest.mark.usefixtures("two_threads")
def test_one_thread_is_for_the_caller_and_for_a_while() -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
        assert usable_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_each_computing_thread_computes_alone() -> None:
    started: list[str] = []
    with computing_threads(3, "some", lambda: started.append(threading.current_thread().name)) as p:
        assert list(p.map(lambda _: torch.get_num_threads(), range(9))) == [1] * 9
    assert sorted(started) == ["some_0", "some_1", "some_2"]
    assert torch.get_num_threads() == 2
