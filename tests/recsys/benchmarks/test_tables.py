"""A benchmark's tables: published rows by candidate set, and which systems are compared."""

from typing import Any

import pytest

from recsys.benchmarks.published import PUBLISHED
from recsys.benchmarks.tables import HEADINGS, _pairs, markdown, rows_of
from recsys.evaluation.full_ranking import CANDIDATES, Candidates


def _record(model: str, tokenizer: str = "", cold: float = 0.0) -> dict[str, Any]:
    cell = {"category": "Beauty", "model": model, "tokenizer": tokenizer, "seed": 0, "cold": cold}
    metrics = {name: {"recall@10": 0.1, "ndcg@10": 0.05} for name in CANDIDATES}
    return {"cell": cell, "metrics": metrics, "unseen": metrics, "unseen_users": 3}


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


def test_a_tokenizer_is_tested_against_its_shape_and_shapes_by_their_first() -> None:
    names = ["grit-4x256", "kmeans-4x256", "grit-8x256", "kmeans-8x256", "rqvae-8x256"]
    names.append("kmeans-8x256-identity-beam5")
    systems = dict.fromkeys([*(f"d · {name}" for name in names), "sasrec", "sasrec-repeats"])
    first = {("d", "4x256"): "d · grit-4x256", ("d", "8x256"): "d · grit-8x256"}
    assert _pairs(systems, first) == [
        ("d · grit-4x256", "d · kmeans-4x256"),
        ("d · grit-8x256", "d · kmeans-8x256"),
        ("d · grit-8x256", "d · rqvae-8x256"),
        ("d · grit-8x256", "d · kmeans-8x256-identity-beam5"),
        ("d · grit-8x256", "d · grit-4x256"),
        ("sasrec-repeats", "sasrec"),
        ("d · grit-4x256", "sasrec"),
        ("d · grit-8x256", "sasrec"),
    ]


def test_a_model_is_tested_against_itself_without_its_last_end_and_against_content() -> None:
    names = ["d", "d-nearness", "d-nearness-new"]
    systems = dict.fromkeys([*(f"{name} · grit-4x256" for name in names), "nearest-content"])
    first = {(name, "4x256"): f"{name} · grit-4x256" for name in names}
    assert _pairs(systems, first) == [
        ("d · grit-4x256", "nearest-content"),
        ("d-nearness · grit-4x256", "d · grit-4x256"),
        ("d-nearness · grit-4x256", "nearest-content"),
        ("d-nearness-new · grit-4x256", "d-nearness · grit-4x256"),
        ("d-nearness-new · grit-4x256", "nearest-content"),
    ]


def test_a_model_that_learns_repeats_is_tested_against_itself_without_and_sasrec_with_them() -> (
    None
):
    names = ["d", "d-repeats"]
    systems = dict.fromkeys(
        [*(f"{name} · grit-4x256" for name in names), "sasrec", "sasrec-repeats", "co-occurrence"]
    )
    first = {(name, "4x256"): f"{name} · grit-4x256" for name in names}
    assert _pairs(systems, first) == [
        ("sasrec", "co-occurrence"),
        ("sasrec-repeats", "sasrec"),
        ("sasrec-repeats", "co-occurrence"),
        ("d · grit-4x256", "sasrec"),
        ("d · grit-4x256", "co-occurrence"),
        ("d-repeats · grit-4x256", "d · grit-4x256"),
        ("d-repeats · grit-4x256", "sasrec-repeats"),
        ("d-repeats · grit-4x256", "co-occurrence"),
    ]
