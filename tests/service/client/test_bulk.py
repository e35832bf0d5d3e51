"""The parts of a bulk, without a connection."""

import json

import pytest

from service.client import SemidError
from service.client.bulk import bulk_parts


def test_lines_that_a_stopping_service_left_are_asked_again() -> None:
    [part] = bulk_parts({"item_id": name} for name in "abc")
    assert part.body() == b'{"item_id":"a"}\n{"item_id":"b"}\n{"item_id":"c"}\n'

    def answer(line: int, item_id: str) -> bytes:
        item = {"item_id": item_id, "title": None, "semantic_id": "1", "codes": [1], "suffix": 0}
        return _line(item | {"line": line, "distortion": 0.1, "status": "created"})

    def problem(line: int, status: int) -> bytes:
        told = {
            "type": "about:blank",
            "title": "t",
            "status": status,
            "detail": "d",
            "instance": "/",
        }
        return _line({"line": line, "problem": told})

    part.take(answer(1, "a"))
    part.take(problem(2, 503))
    assert part.body() == b'{"item_id":"b"}\n{"item_id":"c"}\n'
    with pytest.raises(SemidError, match="items from 2 on have no answer"):
        part.answers()
    part.take(problem(1, 422))
    part.take(answer(2, "c"))
    part.take(problem(3, 503))
    assert part.body() == b""
    assert [getattr(found, "item_id", None) for found in part.answers()] == ["a", None, "c"]


def test_a_line_ends_with_a_line_feed_alone() -> None:
    """What Unicode also calls the end of a line is a part of a title; pieces may end anywhere."""
    [part] = bulk_parts([{"item_id": "a"}, {"item_id": "b"}])
    part.body()
    title = "hand\u2028cream\x85\x0bof\u2029roses"
    told = b"".join(
        _line(
            {"item_id": name, "title": title, "semantic_id": "1", "codes": [1], "suffix": 0,
             "line": line, "distortion": 0.1, "status": "created"}
        )
        for line, name in enumerate("ab", start=1)
    )  # fmt: skip
    for start in range(0, len(told), 7):
        part.take(told[start : start + 7])
    assert [getattr(found, "title", None) for found in part.answers()] == [title, title]


def _line(answer: dict[str, object]) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode() + b"\n"
