import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_prep.errors import InputError
from service.registry import NewItem, Registry


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'semid.db'}"


def _registry(url: str, fingerprint: str = "f") -> Registry:
    return Registry(url, fingerprint, levels=2)


def _item(item_id: str, *codes: int, suffix: int | None = None) -> NewItem:
    return NewItem(item_id, codes, 0.5, f"Title of {item_id}", suffix)


def test_suffixes_count_items_that_share_codes_in_order(url: str) -> None:
    registry = _registry(url)
    added = registry.add([_item("a", 1, 2), _item("b", 1, 2), _item("c", 1, 3)])
    assert [(entry.semantic_id, new) for entry, new in added] == [
        ("1-2", True),
        ("1-2-1", True),
        ("1-3", True),
    ]
    assert registry.add([_item("d", 1, 2)])[0][0].semantic_id == "1-2-2"


def test_an_id_is_for_ever(url: str) -> None:
    """Also when the item comes again with other codes, and after the database is opened anew."""
    registry = _registry(url)
    registry.add([_item("a", 1, 2)])
    registry.close()
    entry, new = _registry(url).add([_item("a", 9, 9)])[0]
    assert (entry.semantic_id, new) == ("1-2", False)


def test_offline_ids_are_taken_over_as_they_stand_all_or_none(url: str) -> None:
    registry = _registry(url)
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


def test_another_tokenizers_database_is_refused_by_both_names(url: str) -> None:
    _registry(url)
    with pytest.raises(InputError, match="belongs to tokenizer f, not to g"):
        _registry(url, "g")


def test_the_database_writes_ahead(url: str) -> None:
    """WAL: readers do not wait for the writer, in every connection of the file."""
    _registry(url)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_many_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    for number in range(5):
        new = f"sqlite:///{tmp_path / f'{number}.db'}"
        with ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(_registry, [new] * 8))
        assert [registry.count() for registry in opened] == [0] * 8


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE items (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="a table 'items' that is not semid's"):
        _registry(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://x/y",
        "sqlite:////nowhere/at/all.db",
        "nonsense",
        "oracle://x/y",
        "sqlite:///{text}",
    ],
)
def test_a_database_that_cannot_be_used_is_named(tmp_path: Path, url: str) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is not a database, but a longer text than its header")
    with pytest.raises(InputError, match="cannot be used"):
        _registry(url.format(text=text))


def test_many_writers_give_each_item_one_id_and_each_id_one_item(url: str) -> None:
    """Eight registries, one database, all posting the same colliding items in other orders."""
    items = [_item(f"i{number}", 1, number % 5) for number in range(200)]
    answers: list[dict[str, str]] = []

    def post(start: int) -> None:
        registry = _registry(url)
        mine = items[start:] + items[:start]
        found: dict[str, str] = {}
        for row in range(0, 200, 20):
            entries = registry.add(mine[row : row + 20])
            found |= {entry.item_id: entry.semantic_id for entry, _ in entries}
        answers.append(found)

    _registry(url)
    threads = [threading.Thread(target=post, args=(25 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0].values())) == 200
    registry = _registry(url)
    for code in range(5):
        suffixes = [item.suffix for item in registry.with_prefix((1, code), 100)]
        assert suffixes == list(range(40))


def test_prefixes_page_and_count_in_the_order_of_ids(url: str) -> None:
    registry = _registry(url)
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


def test_titles_are_found_without_regard_to_case_and_signs_are_signs(url: str) -> None:
    registry = _registry(url)
    registry.add([_item("a", 1, 1), _item("b", 1, 2)])
    registry.set_titles([[("a", "100% Soap"), ("unknown", "x")]], print)
    registry.add([_item("c", 1, 3)])
    for words, item_ids, total in (("SOAP", ["a"], 1), ("%", ["a"], 1), ("_", [], 0)):
        found, number = registry.search_titles(words, 5)
        assert ([item.item_id for item in found], number) == (item_ids, total)
    first, number = registry.search_titles("title OF", 1)
    assert ([item.item_id for item in first], number) == (["b"], 2)


def test_new_items_are_followed_by_number(url: str) -> None:
    registry = _registry(url)
    registry.add([_item("a", 1, 1), _item("b", 1, 2)])
    first = [pair for chunk in registry.after(0) for pair in chunk]
    assert [codes for _, codes in first] == [(1, 1), (1, 2)]
    registry.add([_item("c", 5, 5)])
    assert [codes for chunk in registry.after(first[-1][0]) for _, codes in chunk] == [(5, 5)]
