import threading
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import InputError
from data_prep.values.folding import folded
from data_prep.values.words import has_terms, query_terms
from service.registry import NewItem, Registry
from service.registry.id_map import mapped_ids
from service.registry.vectors import VectorStore, packed
from service.registry.words import matching
from tests.service.databases import Open, sqlite_url


def _item(item_id: str, *codes: int, suffix: int | None = None) -> NewItem:
    return NewItem(item_id, codes, 0.5, f"Title of {item_id}", suffix)


def test_suffixes_count_items_that_share_codes_in_order(url: str, opened: Open) -> None:
    registry = opened(url)
    added = registry.add([_item("a", 1, 2), _item("b", 1, 2), _item("c", 1, 3)])
    assert [(entry.semantic_id, new) for entry, new in added] == [
        ("1-2", True),
        ("1-2-1", True),
        ("1-3", True),
    ]
    assert registry.add([_item("d", 1, 2)])[0][0].semantic_id == "1-2-2"


def test_an_id_is_for_ever(url: str, opened: Open) -> None:
    """Also when the item comes again with other codes, and after the database is opened anew."""
    registry = opened(url)
    registry.add([_item("a", 1, 2)])
    registry.database.close()
    entry, new = opened(url).add([_item("a", 9, 9)])[0]
    assert (entry.semantic_id, new) == ("1-2", False)


def test_offline_ids_are_taken_over_as_they_stand_all_or_none(url: str, opened: Open) -> None:
    registry = opened(url)
    told: list[int] = []
    chunk = [_item("a", 1, 2, suffix=3), _item("b", 1, 2, suffix=1)]
    registry.take_over([chunk], told.append)
    registry.take_over([chunk], told.append)
    assert sum(told) == 4
    assert registry.get(["a"])["a"].semantic_id == "1-2-3"
    assert registry.add([_item("c", 1, 2)])[0][0].suffix == 4
    with pytest.raises(InputError, match="'a' has 1-2-3 in the database and 1-2-5 in the table"):
        registry.take_over([[_item("new", 7, 7, suffix=0)], [_item("a", 1, 2, suffix=5)]], print)
    with pytest.raises(InputError, match="belongs to another item"):
        registry.take_over([[_item("new", 7, 7, suffix=0)], [_item("x", 1, 2, suffix=3)]], print)
    assert registry.count() == 3


def test_many_writers_give_each_item_one_id_and_each_id_one_item(url: str, opened: Open) -> None:
    """Eight registries, one database, all posting the same colliding items in other orders."""
    items = [_item(f"i{number}", 1, number % 5) for number in range(200)]
    answers: list[dict[str, str]] = []

    def post(start: int) -> None:
        registry = opened(url)
        mine = items[start:] + items[:start]
        found: dict[str, str] = {}
        for row in range(0, 200, 20):
            entries = registry.add(mine[row : row + 20])
            found |= {entry.item_id: entry.semantic_id for entry, _ in entries}
        answers.append(found)

    opened(url)
    threads = [threading.Thread(target=post, args=(25 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0].values())) == 200
    registry = opened(url)
    for code in range(5):
        suffixes = [item.suffix for item in registry.with_prefix((1, code), 100)]
        assert suffixes == list(range(40))


def test_prefixes_page_and_count_in_the_order_of_ids(url: str, opened: Open) -> None:
    registry = opened(url)
    ids = [(12, 240), (12, 3), (12, 3), (2, 9), (256, 1), (65_535, 65_535)]
    registry.add([_item(f"i{number}", *codes) for number, codes in enumerate(ids)])
    everything = [item.semantic_id for item in registry.with_prefix((), 100)]
    assert everything == ["2-9", "12-3", "12-3-1", "12-240", "256-1", "65535-65535"]
    page = registry.with_prefix((12,), 2)
    assert [item.semantic_id for item in page] == ["12-3", "12-3-1"]
    rest = registry.with_prefix((12,), 2, (page[-1].codes, page[-1].suffix))
    assert [item.semantic_id for item in rest] == ["12-240"]
    assert registry.count_with_prefix((12,)) == 3
    assert registry.count_with_prefix((65_535, 65_535)) == 1
    assert [(p.codes, p.items) for p in registry.next_codes(())] == [
        ((2,), 1), ((12,), 3), ((256,), 1), ((65_535,), 1),
    ]  # fmt: skip
    assert [(p.codes, p.items) for p in registry.next_codes((12,))] == [
        ((12, 3), 2),
        ((12, 240), 1),
    ]


def test_titles_are_found_without_regard_to_case_and_signs_are_signs(
    url: str, opened: Open
) -> None:
    registry = opened(url)
    registry.add([_item("a", 1, 1), _item("b", 1, 2)])
    registry.set_titles([[("a", "100% Soap"), ("unknown", "x")]], print)
    registry.add([_item("c", 1, 3)])
    for words, item_ids, total in (("SOAP", ["a"], 1), ("100%", ["a"], 1), ("_", [], 0)):
        found, number = registry.search_titles(words, 5)
        assert ([item.item_id for item in found], number) == (item_ids, total)
    first, number = registry.search_titles("title OF", 1)
    assert ([item.item_id for item in first], number) == (["b"], 2)


SAME = [
    ("Čaj zelený", ["čaj", "caj", "ČAJ", "CAJ ZELENY", "c\u030caj", "zel ča"]),
    ("Cafe\u0301 crème", ["café", "CAFE CREME", "cre\u0300me", "crème café"]),
    ("Straße des ﬁnen Öls", ["STRASSE", "finen", "fi", "ols", "Ö"]),
    ("ＳＯＮＹ １００", ["sony 100", "ｓｏｎｙ"]),
    ("İstanbul ΣΟΦΌΣ", ["istanbul", "σοφος", "σοφοσ"]),
    ("50%_off \\o/", ["50%_OFF", "off 50", "\\O"]),
    ("한국 차", ["한국", "\u1112\u1161\u11ab"]),
    ("が", ["が", "か\u3099"]),
    ("化粧水 しっとり", ["化粧", "粧水", "水", "しっとり 化粧"]),
    ("हिन्दी चाय", ["हिन्दी", "चा"]),
]


@pytest.mark.parametrize(("title", "words"), SAME)
def test_a_search_folds_case_accents_and_forms(
    opened: Open, url: str, title: str, words: list[str]
) -> None:
    """On every database alike, for new titles and for changed ones."""
    registry = opened(url)
    registry.add([NewItem("new", (1, 2), 0.5, title), NewItem("changed", (1, 3), 0.5, "before")])
    registry.add([NewItem("other", (1, 4), 0.5, "か ab"), NewItem("none", (1, 5), 0.5)])
    registry.set_titles([[("changed", title)]], lambda _: None)
    for each in words:
        found, number = registry.search_titles(each, 5)
        assert [item.item_id for item in found] == ["new", "changed"], each
        assert number == 2
        assert found[0].title == title
        assert registry.titled(each, 1) == ["new"]
        having = [has_terms(other, query_terms(each)) for other in (title, "か ab", None)]
        assert having == [True, False, False]
    assert registry.search_titles("before", 5) == ([], 0)
    assert registry.search_titles("\u0301", 5) == ([], 0)


def test_a_search_asks_for_the_words_first(opened: Open, tmp_path: Path) -> None:
    """Not for the words of each item: with many items that would take as long as reading all."""
    registry = opened(sqlite_url(tmp_path))
    registry.add([_item(f"i{number}", 1, number) for number in range(50)])
    with registry.database.reading() as connection:
        query = matching(connection, "title i7", registry.tokenizer.number)
        assert query is not None
        told = str(query.compile(compile_kwargs={"literal_binds": True}))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {told}").all()
    assert "semid_words VIRTUAL TABLE" in plan[0][3]
    assert "semid_ids USING INTEGER PRIMARY KEY" in plan[1][3]


READS: dict[str, Callable[[Registry, int], object]] = {
    "items by number": lambda registry, _: registry.by_number(range(100, 150)),
    "items by name": lambda registry, _: registry.get([f"i{row}" for row in range(50)]),
    "changes": lambda registry, rows: list(registry.changes(rows - 5)),
    "vectors of some": lambda registry, _: VectorStore(registry).vectors(range(100, 150)),
    "first vectors": lambda registry, _: next(VectorStore(registry).scan(10)),
    "a page of two tokenizers' IDs": lambda registry, rows: _map_page(registry, rows - 20),
}


def _map_page(registry: Registry, after: int) -> object:
    with registry.database.reading() as connection:
        return mapped_ids(connection, registry.tokenizer, registry.tokenizer, after, 10)


@pytest.mark.parametrize("read", READS)
def test_reading_some_items_does_not_read_all(read: str, opened: Open, tmp_path: Path) -> None:
    registry, steps, rows = opened(sqlite_url(tmp_path)), [0], 0
    vectors = packed(np.random.default_rng(0).normal(size=(2000, 4)).astype(np.float32))
    taken = []
    for more in (500, 2000):
        new = [_item(f"i{row}", row // 256, row % 256) for row in range(rows, more)]
        kept = zip(new, vectors, strict=False)
        registry.add([replace(item, vector=vector) for item, vector in kept])
        rows = more
        with registry.database.reading() as connection:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(lambda: steps.append(steps.pop() + 1), 10)
        steps[0] = 0
        assert READS[read](registry, rows)
        taken.append(steps[0])
    assert taken[1] < 1.3 * taken[0] + 10


@given(st.text(max_size=30))
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    once = folded(text)
    assert folded(once) == once
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert folded(unicodedata.normalize(form, text)) == once


def test_changes_are_followed_in_order(url: str, opened: Open) -> None:
    """What another process adds, removes, restores or titles; an unchanged title is no change."""
    registry, other = opened(url), opened(url)
    registry.add([_item("a", 1, 1), _item("b", 1, 2)])
    first = list(registry.changes(0))
    assert [part.codes.tolist() for part in first] == [[[1, 1], [1, 2]]]
    assert list(registry.changes(first[-1].newest)) == []
    other.add([_item("c", 5, 5)])
    assert other.remove("a")
    other.set_titles([[("b", "Title of b"), ("c", "new")]], print)
    later = list(registry.changes(first[-1].newest))
    assert [part.codes.tolist() for part in later] == [[[1, 1], [5, 5]]]
    assert [part.removed.tolist() for part in later] == [[True, False]]
    assert later[0].numbers.tolist()[0] == first[0].numbers.tolist()[0]


def test_a_removed_item_is_gone_and_its_id_is_nobodys(url: str, opened: Open) -> None:
    registry = opened(url)
    registry.add([_item("a", 1, 1), _item("b", 1, 1)])
    number = registry.get(["b"])["b"].number
    assert (registry.remove("b"), registry.remove("b"), registry.remove("none")) == (1, 0, 0)
    assert (registry.get(["b"]), registry.by_number([number])) == ({}, {})
    assert [item.item_id for item in registry.with_prefix((1,), 9)] == ["a"]
    assert (registry.count(), registry.next_codes(())[0].items) == (1, 1)
    assert registry.search_titles("title of b", 9) == ([], 0)
    assert registry.add([_item("c", 1, 1)])[0][0].semantic_id == "1-1-2"


def test_a_removed_item_that_comes_again_has_its_id_again(url: str, opened: Open) -> None:
    """But not from a table that is taken over at each start."""
    registry = opened(url)
    table = [_item("a", 1, 1, suffix=0), _item("b", 1, 1, suffix=1)]
    registry.take_over([table], print)
    registry.remove("b")
    registry.take_over([table], print)
    assert registry.get(["b"]) == {}
    (entry, new), (_, other) = registry.add([NewItem("b", (7, 7), 0.5), _item("c", 1, 1)])
    assert (entry.semantic_id, entry.title, new, other) == ("1-1-1", "Title of b", False, True)
    assert registry.get(["b"])["b"] == entry


def test_two_tokenizers_number_their_ids_apart(url: str, opened: Open) -> None:
    one, two = opened(url, "f"), opened(url, "g")
    one.add([_item("a", 1, 1), _item("b", 1, 1)])
    assert two.add([_item("b", 1, 1)])[0][0].semantic_id == "1-1"
    assert (one.count(), two.count()) == (2, 1)
    assert len(next(two.changes(0)).numbers) == 1
    assert one.remove("b")
    assert (one.count(), two.count()) == (1, 0)


def test_text_that_no_database_holds_names_no_item(url: str, opened: Open) -> None:
    registry = opened(url)
    assert registry.get(["a\x00b"]) == {}
    assert not registry.remove("a\x00b")
    assert registry.search_titles("\x00", 5) == ([], 0)
