"""A lock that many readers or one writer may hold."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SharedLock"]


class SharedLock:
    """Readers run side by side; a writer waits for them, and new readers wait for it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._left = threading.Condition()
        self._readers = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock together with other readers."""
        with self._turn, self._left:
            self._readers += 1
        try:
            yield
        finally:
            with self._left:
                self._readers -= 1
                self._left.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._turn:
            with self._left:
                self._left.wait_for(lambda: not self._readers)
            yield
