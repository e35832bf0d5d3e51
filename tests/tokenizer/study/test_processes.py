"""Cells side by side: results in order, faults passed on, a process that ends told."""

import math
import os

import pytest

from data_prep.errors import InputError
from tokenizer.study.processes import Workers


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_their_arguments(jobs: int) -> None:
    done: list[int] = []
    with Workers(jobs) as workers:
        assert workers.run(math.pow, [(2, 3), (3, 2), (5, 1)], done.append) == [8, 9, 5]
        assert workers.run(os.getpid, []) == []
        processes = set(workers.run(os.getpid, [()] * 4))
    assert sum(done) == 3
    assert (os.getpid() in processes) == (jobs == 1)


def test_a_fault_of_a_cell_is_passed_on() -> None:
    with Workers(2) as workers, pytest.raises(ValueError, match="math domain"):
        workers.run(math.sqrt, [(4,), (-1,)])


def test_a_process_that_ends_is_told_with_a_remedy() -> None:
    with Workers(2) as workers, pytest.raises(InputError, match="one of 2 processes ended"):
        workers.run(os._exit, [(9,)])
