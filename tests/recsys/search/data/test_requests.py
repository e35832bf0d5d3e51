"""Tables → requests: who asked what after which items, and what was right."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_prep.errors import InputError
from recsys.search.data.dataset import NO_QUERY, SearchDataset
from recsys.search.data.derived_queries import derived_query
from recsys.search.data.requests import of_histories, of_judgements, with_shown
from tests.recsys.search.planted import planted

ITEMS = ["a", "b", "c", "d"]
EVENTS = pl.DataFrame(
    [
        ("u", "a", "x"), ("u", "b", None), ("u", "c", "y"), ("u", "d", "x"), ("u", "a", "y"),
        ("v", "c", None), ("v", "zz", "x"), ("v", "b", "x"), ("v", "a", "z"),
        ("w", "a", "x"), ("w", "b", "x"),
    ],
    schema=["user_id", "item_id", "query"],
    orient="row",
)  # fmt: skip


def _told(data: SearchDataset) -> list[tuple[str, str | None, list[str], list[str]]]:
    """Return each request's split, query, history and positive items."""
    rows = []
    names = ("train", "validation", "test", "shown")
    for number, query in enumerate(data.request_query.tolist()):
        own = data.judgements(number)
        history = data.histories(np.asarray([number]), 10)[0]
        rows.append(
            (
                names[data.request_split[number]],
                None if query == NO_QUERY else data.queries[query],
                [data.item_ids[item] for item in history if item >= 0],
                [data.item_ids[item] for item in data.judged[own][data.positive[own]]],
            )
        )
    return rows


def test_each_event_is_a_request_after_the_events_before() -> None:
    """An event of an unknown item is left out; a first event without a query asks nothing."""
    assert _told(of_histories(EVENTS, ITEMS, "s")) == [
        ("train", "x", [], ["a"]),
        ("train", None, ["a"], ["b"]),
        ("train", "y", ["a", "b"], ["c"]),
        ("validation", "x", ["a", "b", "c"], ["d"]),
        ("test", "y", ["a", "b", "c", "d"], ["a"]),
        ("validation", "x", ["c"], ["b"]),
        ("test", "z", ["c", "b"], ["a"]),
    ]


def test_pairs_of_user_and_query_in_the_tests_are_unseen_before() -> None:
    told = _told(of_histories(EVENTS, ITEMS, "s", unseen_pairs=True))
    assert told == [
        ("validation", "x", ["a", "b", "c"], ["d"]),
        ("test", "y", ["a", "b", "c", "d"], ["a"]),
        ("validation", "x", ["c"], ["b"]),
        ("test", "z", ["c", "b"], ["a"]),
    ]


def test_users_that_stand_apart_and_users_too_short_are_refused() -> None:
    apart = pl.concat([EVENTS, EVENTS[:1]])
    with pytest.raises(InputError, match="a user's events stand apart"):
        of_histories(apart, ITEMS, "s")
    with pytest.raises(InputError, match="no user has the three events"):
        of_histories(EVENTS[9:], ITEMS, "s")


def test_judged_queries_are_requests_without_a_history() -> None:
    queries = pl.DataFrame(
        [
            ("7", "x", "a", 1.0, "train"), ("9", "y", "b", 0.1, None),
            ("7", "x", "b", 0.1, "train"),
            ("8", "x", "c", 1.0, "test"), ("8", "x", "zz", 1.0, "test"),
        ],
        schema=["query_id", "query", "item_id", "label", "split"],
        orient="row",
    ).with_columns(positive=pl.col("label") > 0.5)  # fmt: skip
    data = of_judgements(queries, ITEMS, "s")
    assert data.queries == ("x", "y")
    assert data.requests("train").tolist() == [0]
    assert data.requests("test").tolist() == [1]
    own = data.judgements(0)
    assert data.judged[own].tolist() == [0, 1]
    assert data.gains[own] == pytest.approx([1.0, 0.1])
    assert [pair.tolist() for pair in data.pairs()] == [[0], [0]]
    with pytest.raises(InputError, match="split 'dev'"):
        of_judgements(queries.with_columns(split=pl.lit("dev")), ITEMS, "s")
    with pytest.raises(InputError, match="no judged item is in the catalogue"):
        of_judgements(queries, ["q"], "s")


def test_shown_products_follow_the_whole_history() -> None:
    data = of_histories(EVENTS, ITEMS, "s")
    shown = pl.DataFrame(
        [("2", "new", "v", "b", 0.0), ("2", "new", "v", "d", 3.0), ("2", "new", "v", "zz", 1.0)],
        schema=["query_id", "query", "user_id", "item_id", "label"],
        orient="row",
    )
    more = with_shown(data, ["u", "v"], shown, np.asarray([0, 5, 8]))
    assert _told(more)[-1] == ("shown", "new", ["c", "b", "a"], ["d"])
    assert _told(more)[:-1] == _told(data)
    assert more.pairs()[0].tolist() == data.pairs()[0].tolist()


def test_a_query_is_made_of_two_levels_at_least() -> None:
    path = ["Toys & Games", "Games for the Family", "Family Games"]
    assert derived_query(path) == "toys games family"
    assert derived_query(["Beauty"]) is None
    assert derived_query(None) is None


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    data = planted(users=20)
    data.save(tmp_path / "whole.safetensors")
    loaded = SearchDataset.load(tmp_path / "whole.safetensors")
    assert loaded.fingerprint == data.fingerprint
    assert (loaded.item_ids, loaded.queries) == (data.item_ids, data.queries)
    data.save(tmp_path / "half.safetensors", half=True)
    halved = SearchDataset.load(tmp_path / "half.safetensors")
    assert halved.fingerprint != data.fingerprint
    assert halved.vectors == pytest.approx(data.vectors, abs=1e-2)
    (tmp_path / "no.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read as a search data set"):
        SearchDataset.load(tmp_path / "no.safetensors")


def test_without_history_requests_of_a_history_alone_are_dropped() -> None:
    data = of_histories(EVENTS, ITEMS, "s")
    assert [row[:3] for row in _told(data.without_history())] == [
        (split, query, []) for split, query, _, _ in _told(data) if query is not None
    ]
