from dataclasses import replace
from typing import Any

import pytest

from data_prep.profile.fields import FieldProfile
from data_prep.profile.texts import TextProfile
from data_prep.profile.variants import VariantColumns
from tokenizer.advice.catalogue_verdicts import (
    proposal,
    shape_verdicts,
    text_verdicts,
    title_verdicts,
)

ENGLISH = TextProfile((), 20.0, 0.0, 0.2, 0.0, 0, 0)


def _title(filled: float) -> list[FieldProfile]:
    return [FieldProfile("title", "name", filled, 1, "")]


def test_an_empty_title_is_told_with_a_better_column() -> None:
    assert title_verdicts(_title(0.9), "Movie") == []
    assert title_verdicts(_title(0), "Movie") == [
        "title (name) is empty in 100% of the rows: did you mean --column title=Movie?"
    ]
    assert title_verdicts(_title(0.4), None) == ["title (name) is empty in 60% of the rows"]
    assert title_verdicts([], "Movie") == [
        "no column is the title: did you mean --column title=Movie?"
    ]
    assert title_verdicts([], None) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unknown": 0.32}, "32% of the tokens are unknown to minilm"),
        ({"pieces": 0.4}, "minilm knows few of the words whole"),
        ({"cut": 0.5}, "50% of the texts are longer than minilm reads"),
        (
            {"identical_items": 20, "identical_groups": 7},
            "20 items share their text with another (7",
        ),
    ],
)
def test_what_stands_out_in_texts_is_told(change: dict[str, Any], said: str) -> None:
    assert text_verdicts(ENGLISH, 1000, "minilm") == []
    [verdict] = text_verdicts(replace(ENGLISH, **change), 1000, "minilm")
    assert said in verdict


def test_variants_are_told_with_their_columns() -> None:
    alike = replace(ENGLISH, identical_items=20, identical_groups=7)
    [none] = text_verdicts(alike, 1000, "minilm")
    assert none.endswith("a field that tells them apart in --text-fields mends it")
    [both] = text_verdicts(alike, 1000, "minilm", VariantColumns(("colour", "size"), "parent"))
    assert "take --column item_id=parent --dedupe first" in both
    assert "add colour, size to --text-fields" in both


def test_the_proposed_encoder_knows_the_language() -> None:
    assert proposal(1000, ENGLISH).encoder == "minilm"
    assert proposal(1000, None).encoder == "minilm"
    assert proposal(1000, replace(ENGLISH, unknown=0.3)).encoder == "ngrams"


def test_the_proposal_follows_the_different_texts_and_says_why() -> None:
    found = proposal(10_000, ENGLISH)
    assert str(found.shape) == "5 × 64"
    assert (found.network, found.search_beam, found.policy) == ("identity", 5, "suffix")
    assert "2.4 of the 10,000 different texts" in found.reasons["levels"]
    assert set(found.reasons) == {"encoder", "levels", "network", "search_beam", "policy"}
    copies = replace(ENGLISH, identical_items=9_000, identical_groups=1_000)
    assert str(proposal(10_000, copies).shape) == "6 × 32"
    told = proposal(10_000, replace(ENGLISH, unknown=0.3)).reasons["encoder"]
    assert "any language" in told


def test_large_codebooks_are_told() -> None:
    [few] = shape_verdicts(100, 256)
    assert "100 items are fewer than the 256 codewords" in few
    [single] = shape_verdicts(10_000, 256)
    assert "--levels 5 --codebook-size 64" in single
    assert shape_verdicts(10_000, 64) == []
    assert shape_verdicts(10**6, 256) == []
