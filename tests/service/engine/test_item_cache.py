"""Items that were looked up are answered from memory, and never for longer than they are true."""

import time

import numpy as np
import pytest

from service.engine import item_cache as known_items
from service.engine.item_cache import MAX_AGE, ItemCache
from service.registry import RegisteredItem


def _item(number: int, title: str = "") -> RegisteredItem:
    return RegisteredItem(number, f"i{number}", (1, 2), 0, 0.5, title)


@pytest.fixture
def known() -> ItemCache:
    """Return three items, read when the registry had changed seven times."""
    known = ItemCache()
    known.changed(np.asarray([1, 2, 3]), 7)
    known.followed(time.monotonic())
    known.put([_item(1), _item(2), _item(3)], 7)
    return known


def test_what_was_put_is_known_until_it_changes(known: ItemCache) -> None:
    assert known.get("i2") == _item(2)
    assert known.get("i4") is None
    known.changed(np.asarray([2, 9]), 8)
    assert known.get("i2") is None
    assert known.get("i1") == _item(1)


def test_what_was_read_before_a_change_is_not_kept(known: ItemCache) -> None:
    newest = known.newest
    old = _item(4, "old title")
    known.changed(np.asarray([4]), 8)
    known.put([old], newest)
    assert known.get("i4") is None
    known.put([_item(4, "new title")], known.newest)
    assert known.get("i4") == _item(4, "new title")


def test_nothing_is_known_while_the_registry_cannot_be_followed(known: ItemCache) -> None:
    known.followed(time.monotonic() - MAX_AGE)
    assert known.get("i1") is None
    known.followed(time.monotonic())
    assert known.get("i1") == _item(1)


def test_those_looked_up_longest_ago_are_forgotten(
    known: ItemCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_items, "MAX_ITEMS", 3)
    known.get("i1")
    known.put([_item(4), _item(5)], 7)
    assert [number for number in range(1, 6) if known.get(f"i{number}")] == [1, 4, 5]
    known.changed(np.asarray([2, 3, 4]), 8)
    assert [number for number in range(1, 6) if known.get(f"i{number}")] == [1, 5]
