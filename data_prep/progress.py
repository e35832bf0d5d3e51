"""How long work tells of its advance."""

from typing import Protocol

__all__ = ["Progress"]


class Progress(Protocol):
    """Told how many things have been done since the last call."""

    def __call__(self, done: int, /) -> None: ...
