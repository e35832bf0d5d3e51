"""Timing for benchmarks."""

import time
from collections.abc import Callable, Mapping

__all__ = ["best_seconds", "interleaved_seconds"]


def best_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the seconds of the shortest of several runs."""
    return min(_seconds(work) for _ in range(repeats))


def interleaved_seconds(
    work: Mapping[str, Callable[[], object]], rounds: int = 5, repeats: int = 8
) -> dict[str, float]:
    """Return the seconds of each work's shortest run.

    The works take turns, so that a slow moment of the machine affects all of them.
    """
    best = dict.fromkeys(work, float("inf"))
    for _ in range(rounds):
        for name, call in work.items():
            call()
            best[name] = min(best[name], best_seconds(call, repeats))
    return best


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
