"""Reports of progress from long work."""

from typing import Protocol

__all__ = ["Progress"]


class Progress(Protocol):
    """Called with the number of things done since the last call."""

    def __call__(self, done: int, /) -> None: ...
