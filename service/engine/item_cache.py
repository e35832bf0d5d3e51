"""A cache of the items that were looked up last."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from sys import getsizeof

import numpy as np
from numpy.typing import NDArray

from service.registry import RegisteredItem

__all__ = ["ItemCache"]

MAX_ITEMS = 50_000  # items of one tokenizer: about 40 MB, at most 90
MAX_ITEM_BYTES = 1000  # bytes of item_id and title; a larger item is not cached
MAX_AGE = 2.0  # seconds since the registry was last followed; after that the cache is not used


class ItemCache:
    """A cache of the items of one tokenizer that were looked up last.

    An ID never changes, but a title can, and an item can be removed. The catalogue follows the
    registry and reports the changed items. If its last report is more than `MAX_AGE` seconds old,
    the cache returns nothing.
    """

    def __init__(self) -> None:
        self._items: OrderedDict[str, RegisteredItem] = OrderedDict()
        self._names: dict[int, str] = {}
        self._lock = threading.Lock()
        self._followed = -MAX_AGE
        self.newest = 0  # number of the last change that was reported

    def get(self, item_id: str) -> RegisteredItem | None:
        """Return an item, or None if it is not cached or may be out of date."""
        if time.monotonic() - self._followed > MAX_AGE:
            return None
        with self._lock:
            item = self._items.get(item_id)
            if item is not None:
                self._items.move_to_end(item_id)
            return item

    def put(self, items: Iterable[RegisteredItem], newest: int) -> None:
        """Keep items that were read from the registry.

        Args:
            newest: the value of `newest` before the items were read. If it is different now, the
                items may have changed since, and they are not kept.
        """
        with self._lock:
            if newest != self.newest:
                return
            for item in items:
                if getsizeof(item.item_id) + getsizeof(item.title) > MAX_ITEM_BYTES:
                    continue
                self._items[item.item_id] = item
                self._names[item.number] = item.item_id
            while len(self._items) > MAX_ITEMS:
                _, item = self._items.popitem(last=False)
                del self._names[item.number]

    def changed(self, numbers: NDArray[np.int64], newest: int) -> None:
        """Drop changed items by number; `newest` is the number of the last of the changes."""
        with self._lock:
            self.newest = newest
            known = self._names.keys() & numbers.tolist() if self._names else ()
            for number in known:
                del self._items[self._names.pop(number)]

    def followed(self, at: float) -> None:
        """Note that all changes before `at` (of `time.monotonic`) have been reported."""
        self._followed = at
