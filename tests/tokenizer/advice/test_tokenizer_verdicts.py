from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tokenizer.advice.tokenizer_verdicts import tokenizer_verdicts, told_end
from tokenizer.artifact import TokenizerArtifact, load

HEALTHY: dict[str, Any] = {
    "items": 10_000,
    "train_error": 0.20,
    "held_out_error": 0.22,
    "unique_share": 0.99,
    "levels": [{"utilization": 1.0}] * 2,
    "prefixes": [{"single": 0.0}, {"single": 0.1}],
    "faiss_residual_quantizer": {"held_out_error": 0.25},
}


@pytest.fixture
def tokenizer(tokenizer_folder: Path) -> TokenizerArtifact:
    return load(tokenizer_folder)


def test_a_healthy_tokenizer_is_called_so(tokenizer: TokenizerArtifact) -> None:
    [verdict] = tokenizer_verdicts(replace(tokenizer, metrics=HEALTHY))
    assert verdict.startswith("healthy")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"faiss_residual_quantizer": {"held_out_error": 0.15}}, "--network identity"),
        ({"train_error": 0.1}, "by heart"),
        ({"levels": [{"utilization": 1.0}, {"utilization": 0.5}]}, "level 2 uses 50%"),
        ({"unique_share": 0.8}, "20% of the items share their codes"),
    ],
)
def test_what_is_wrong_is_told_with_a_remedy(
    tokenizer: TokenizerArtifact, change: dict[str, Any], said: str
) -> None:
    [verdict] = tokenizer_verdicts(replace(tokenizer, metrics=HEALTHY | change))
    assert said in verdict


def test_prefixes_of_single_items_are_told(tokenizer: TokenizerArtifact) -> None:
    few = HEALTHY | {"items": 60, "prefixes": [{"single": 0.0}, {"single": 0.87}]}
    [verdict] = tokenizer_verdicts(replace(tokenizer, metrics=few))
    assert "87% of the two-code prefixes are single items" in verdict
    assert "--codebook-size 8" in verdict


def test_nothing_is_said_of_what_was_not_measured(tokenizer: TokenizerArtifact) -> None:
    unknown = HEALTHY | {
        "held_out_error": None, "faiss_residual_quantizer": {"skipped": "few"}, "prefixes": None,
    }  # fmt: skip
    [verdict] = tokenizer_verdicts(replace(tokenizer, metrics=unknown))
    assert verdict.startswith("healthy")


def test_the_end_of_a_training_is_told() -> None:
    steps = [{"step": step} for step in (0, 100, 200)]
    assert told_end({"history": steps, "best_step": 100}, 200) is None
    assert "at step 200: the validation error has not fallen for 100 steps" in str(
        told_end({"history": steps, "best_step": 100}, 1000)
    )
    assert "nothing is left to gain" in str(told_end({"history": steps, "best_step": 200}, 1000))
