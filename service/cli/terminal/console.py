"""Progress bars and tables on the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["Bar", "bar", "errors", "output"]

output = Console(highlight=False, markup=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


class Bar:
    """One progress bar."""

    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self._progress = progress
        self._title = title
        self._task = progress.add_task(title, total=total)

    def __call__(self, done: int) -> None:
        """Advance by `done`."""
        self._progress.advance(self._task, done)

    def goes_to(self, done: int, total: int) -> None:
        """Stand at `done` of `total`, which may not have been known before."""
        self._progress.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        """Show a figure beside the title."""
        self._progress.update(self._task, description=f"{self._title} {text}")


@contextmanager
def bar(title: str, total: int) -> Iterator[Bar]:
    """Show a progress bar on standard error while the block runs."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as progress:
        yield Bar(progress, title, total)
