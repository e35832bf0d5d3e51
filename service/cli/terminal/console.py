"""The commands' output: progress, tables, JSON."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import typer
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
from rich.table import Table

__all__ = ["Bar", "bar", "be_quiet", "errors", "output", "print_json", "print_table", "working"]

FIRST_WAIT, LONGEST_WAIT = 5.0, 120.0  # seconds between two progress lines in a log

FILE_WIDTH = 1000  # columns of a table in a file


class _Console(Console):
    """A console that raises BrokenPipeError on a closed pipe, so that `endings` handles it."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console(*, stderr: bool = False, width: int | None = None) -> Console:
    return _Console(stderr=stderr, width=width, highlight=False, markup=False, soft_wrap=True)


output, errors, progress = _console(), _console(stderr=True), _console(stderr=True)
_in_file = _console(width=FILE_WIDTH)


def be_quiet(*, quiet: bool = True) -> None:
    """Suppress progress and results from now on; warnings and errors are still printed."""
    output.quiet = _in_file.quiet = progress.quiet = quiet


class Bar(Protocol):
    """The progress of one task."""

    def __call__(self, done: int) -> None:
        """Advance by `done`."""

    def goes_to(self, done: int, total: int) -> None:
        """Set the progress to `done` of `total`; the total may change."""

    def note(self, text: str) -> None:
        """Show a figure beside the title."""


class _TerminalBar:
    """A moving bar in a terminal."""

    def __init__(self, shown: Progress, title: str, total: int) -> None:
        self._shown, self._title = shown, title
        self._task = shown.add_task(title, total=total)

    def __call__(self, done: int) -> None:
        self._shown.advance(self._task, done)

    def goes_to(self, done: int, total: int) -> None:
        self._shown.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        self._shown.update(self._task, description=f"{self._title} {text}")


class LogBar:
    """Progress lines at growing intervals, if standard error is not a terminal.

    A task that goes on is quick at first, through what is kept. So the time left is judged by what
    came after the first line.
    """

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done, self._note = title, total, 0, ""
        self._began = time.monotonic()
        self._next = self._began + FIRST_WAIT
        self._judged_from: tuple[float, int] | None = None

    def __call__(self, done: int) -> None:
        self.goes_to(self._done + done, self._total)

    def goes_to(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        self._line_if_due()

    def note(self, text: str) -> None:
        self._note = f", {text}"
        self._line_if_due()

    def ends(self) -> None:
        """Print the time that the task took."""
        self._line(f"{self._told()} in {_clock(time.monotonic() - self._began)}")

    def _told(self) -> str:
        """Return how much is done; a total of 0 is not known."""
        return f"{self._done:,}/{self._total:,}" if self._total else f"{self._done:,}"

    def _line_if_due(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        elapsed = now - self._began
        self._next = now + min(max(FIRST_WAIT, elapsed / 10), LONGEST_WAIT)
        told = self._told()
        began, before = self._judged_from or (self._began, 0)
        if self._judged_from is None:
            self._judged_from = (now, self._done) if self._done else (began, before)
        if self._done > before:
            rate = (self._done - before) / (now - began)
            told += f", {rate:,.1f}/s" if rate >= 1 else f", {1 / rate:,.1f} s each"
            if self._total:
                told += f", {_clock((self._total - self._done) / rate)} left"
        self._line(told)

    def _line(self, text: str) -> None:
        progress.print(f"{self._title}: {text}{self._note}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def bar(title: str, total: int) -> Iterator[Bar]:
    """Show progress on standard error while the block runs: a bar, or lines in a log."""
    if not progress.is_terminal:
        lines = LogBar(title, total)
        yield lines
        lines.ends()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=progress) as shown:
        yield _TerminalBar(shown, title, total)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on standard error what is done while the block runs, for work of unknown length."""
    with progress.status(what):
        yield


def print_json(body: object) -> None:
    """Print one JSON object, for scripts."""
    import orjson

    typer.echo(orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """Print a table, one line a row; columns of numbers are right-aligned.

    Cells are wrapped if the terminal is too narrow, never in a file or a pipe.
    """
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column, heading in enumerate(headings):
        numbers = all(isinstance(row[column], (int, float)) for row in rows)
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=column == 0)
    for row in rows:
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row))
    (output if output.is_terminal else _in_file).print(table)
