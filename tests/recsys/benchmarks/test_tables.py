"""A benchmark's tables: the order of rows, and published rows by candidate set."""

from typing import Any

import pytest

from recsys.benchmarks.published import PUBLISHED
from recsys.benchmarks.tables import HEADINGS, markdown, rows_of
from recsys.evaluation.full_ranking import CANDIDATES, Candidates


def _record(
    model: str,
    tokenizer: str = "",
    cold: float = 0.0,
    category: str = "Beauty",
    validation: float | None = None,
) -> dict[str, Any]:
    cell = {"category": category, "model": model, "tokenizer": tokenizer, "seed": 0, "cold": cold}
    metrics = {name: {"recall@10": 0.1, "ndcg@10": 0.05} for name in CANDIDATES}
    record = {"cell": cell, "metrics": metrics, "unseen": metrics, "unseen_users": 3}
    if validation is None:
        return record
    found = {"recall@10": 1 - validation, "ndcg@10": validation}
    return record | {"validation": dict.fromkeys(CANDIDATES, found)}


def _sections(text: str) -> dict[str, str]:
    parts = (part.partition("\n") for part in text.split("### ")[1:])
    return {heading: body for heading, _, body in parts}


@pytest.mark.parametrize("candidates", HEADINGS)
def test_a_published_row_stands_under_its_own_candidate_set_alone(
    candidates: Candidates | None,
) -> None:
    sections = _sections(markdown(rows_of([_record("sasrec")]), [], {}))
    heading = f"Published, {HEADINGS[candidates]}"
    for name, row in PUBLISHED.items():
        shown = [title for title, body in sections.items() if f"| {name} |" in body]
        if row.candidates == candidates:
            assert shown == [heading], name
        else:
            assert heading not in shown, name


def test_published_rows_say_which_items_were_ranked() -> None:
    """RPG ranks all items; the open SASRec rows leave the history out; the paper does not say."""
    stated = {name: row.candidates for name, row in PUBLISHED.items()}
    assert stated["RPG"] == "all"
    for name in ("SASRec, full cross-entropy", "SASRec, sampled softmax", "eSASRec"):
        assert stated[name] == "without_history"
    assert stated["GRIT-VQ paper: dense ID"] is None


def test_published_rows_of_other_categories_are_not_shown() -> None:
    record = _record("sasrec")
    record["cell"]["category"] = "Books"
    assert "Published" not in markdown(rows_of([record]), [], {})


def test_a_row_names_its_published_counterpart_and_the_candidates_of_that() -> None:
    records = [_record("sasrec"), _record("tiger", "grit-4x256"), _record("sasrec", cold=0.1)]
    records.append(_record("popularity"))
    sasrec, tiger, cold, popularity = (row["published"] for row in rows_of(records))
    assert (sasrec["name"], sasrec["candidates"]) == (
        "SASRec, full cross-entropy", "without_history"
    )  # fmt: skip
    assert sasrec["figures"]["Beauty"] == (0.0859, 0.0503)
    assert (tiger["name"], tiger["candidates"]) == ("GRIT-VQ paper: GRIT-VQ", None)
    assert cold is None
    assert popularity is None


def test_rows_stand_by_validation_as_a_share_of_the_best_of_a_category() -> None:
    records = [
        _record("popularity"),
        _record("sasrec", validation=0.04),
        _record("sasrec", category="Toys_and_Games", validation=0.10),
        _record("generator", "grit-4x256", validation=0.05),
        _record("generator", "grit-4x256", category="Toys_and_Games", validation=0.09),
        _record("esasrec", category="Toys_and_Games", validation=0.08),
        _record("sasrec", cold=0.1, validation=0.02),
        _record("generator", "grit-4x256", cold=0.1, validation=0.03),
    ]
    sections = _sections(markdown(rows_of(records), [], {}))
    for heading in ("Test, all items ranked", "Test, the user's history left out"):
        lines = [line.split(" | ") for line in sections[heading].splitlines() if "| 1 |" in line]
        assert [(line[0].removeprefix("| "), line[3]) for line in lines] == [
            ("popularity", "–"),
            ("generator", "0.950"),
            ("sasrec", "0.900"),
            ("esasrec", "0.800"),
        ]
    body = sections["Items held out of training altogether"]
    lines = [line.split(" | ") for line in body.splitlines() if "| 10% |" in line]
    assert [line[3] for line in lines] == ["1.000", "0.667"]


def test_a_table_without_trained_models_says_nothing_of_validation() -> None:
    text = markdown(rows_of([_record("popularity")]), [], {})
    assert "Models stand by validation" not in text
    assert "| popularity | – | 1 | – |" in text
