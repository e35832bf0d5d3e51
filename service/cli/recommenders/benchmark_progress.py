"""How `semid benchmark` shows how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.cli.terminal.console import Bar, bar, errors

__all__ = ["BenchmarkProgress", "benchmark_progress"]


class BenchmarkProgress:
    """Shows a benchmark's progress: a bar over its cells, and a line for each figure."""

    def __init__(self, cells: Bar) -> None:
        self._cells = cells
        self._what = ""

    def begins(self, what: str) -> None:
        """Show that a piece of work begins."""
        self._what = what
        self._cells.note(what)

    def ends(self) -> None:
        """Show that a cell is done."""
        self._cells(1)

    def counting(self, total: int) -> Callable[[int], None]:
        """Return what counts texts of a total."""
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            self._cells.note(f"{self._what}, text {done:,} of {total:,}")

        return count

    def goes_on(self, step: int, total: int, note: str) -> None:
        """Show how far the work is; a note becomes a line of its own."""
        self._cells.note(f"{self._what}, step {step:,} of {total:,}")
        if note:
            errors.print(f"{self._what}: {note}")


@contextmanager
def benchmark_progress(cells: int) -> Iterator[BenchmarkProgress]:
    """Show a bar over the cells of a benchmark."""
    with bar("benchmark", cells) as progress:
        yield BenchmarkProgress(progress)
