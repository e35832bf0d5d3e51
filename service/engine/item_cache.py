"""Items that were looked up, kept in memory for as long as they stay what they are."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from sys import getsizeof

import numpy as np
from numpy.typing import NDArray

from service.registry import RegisteredItem

__all__ = ["ItemCache"]

MOST = 50_000  # of a tokenizer: some 40 MB, at most 90
LARGEST = 1000  # bytes of item_id and title; a larger item is read each time
LONGEST = 2.0  # seconds since other processes' changes were last taken in


class ItemCache:
    """The items of one tokenizer that were looked up last.

    An ID never changes, but a title can, and an item can be removed: who follows the registry says
    which items changed. Nothing is known where that was more than `LONGEST` seconds ago.
    """

    def __init__(self) -> None:
        self._items: OrderedDict[str, RegisteredItem] = OrderedDict()
        self._names: dict[int, str] = {}
        self._lock = threading.Lock()
        self._followed = -LONGEST
        self.newest = 0  # change up to which the registry was followed

    def get(self, item_id: str) -> RegisteredItem | None:
        """Return an item, or None where only the registry can tell."""
        if time.monotonic() - self._followed > LONGEST:
            return None
        with self._lock:
            item = self._items.get(item_id)
            if item is not None:
                self._items.move_to_end(item_id)
            return item

    def put(self, items: Iterable[RegisteredItem], newest: int) -> None:
        """Keep items that were read from the registry.

        Args:
            newest: `newest` before they were read; if it is another one by now, they may have
                changed since, and are not kept.
        """
        with self._lock:
            if newest != self.newest:
                return
            for item in items:
                if getsizeof(item.item_id) + getsizeof(item.title) > LARGEST:
                    continue
                self._items[item.item_id] = item
                self._names[item.number] = item.item_id
            while len(self._items) > MOST:
                _, item = self._items.popitem(last=False)
                del self._names[item.number]

    def changed(self, numbers: NDArray[np.int64], newest: int) -> None:
        """Forget items by number: they changed, the last of them by the change `newest`."""
        with self._lock:
            self.newest = newest
            known = self._names.keys() & numbers.tolist() if self._names else ()
            for number in known:
                del self._items[self._names.pop(number)]

    def followed(self, at: float) -> None:
        """Say that all changes until a moment of `time.monotonic` have been told of."""
        self._followed = at
