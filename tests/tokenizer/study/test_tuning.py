"""Tuning: the same trials for all, chosen on validation items, kept on disk."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import SMALL
from tests.tokenizer.study.test_comparison import items_of
from tokenizer.options import with_options
from tokenizer.quantizer_config import CONFIGS
from tokenizer.study.tuning import OWN_PARAMETER, Range, space_of, trial_count, tune

QUICK = replace(SMALL, steps=27, warmup_steps=3, separation=0.0)


def test_the_best_of_the_last_round_is_chosen_and_trials_are_kept(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    items = items_of(vectors)
    tuned = tune(tmp_path, "grit", items, QUICK, 10)
    assert [trial["steps"] for trial in tuned.trials] == [3] * 10 + [9] * 4
    assert tuned.trials[0]["options"] == {}
    assert all("held_out" not in json.dumps(trial["options"]) for trial in tuned.trials)
    assert not any("held_out_error" in trial for trial in tuned.trials)
    first, last = tuned.trials[:10], tuned.trials[10:]
    ranked = sorted(first, key=lambda trial: trial["validation_error"])
    assert [trial["options"] for trial in last] == [trial["options"] for trial in ranked[:4]]
    best = min(last, key=lambda trial: trial["validation_error"])
    assert tuned.options == best["options"]
    assert tuned.config == with_options(QUICK, tuned.options)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "trials").iterdir()}
    assert len(files) == 14
    again = tune(tmp_path, "grit", items, QUICK, 10)
    assert again == tuned
    assert {path: path.stat().st_mtime_ns for path in files} == files
    next(iter(files)).unlink()  # as one that was stopped
    assert tune(tmp_path, "grit", items, QUICK, 10).options == tuned.options


def test_rates_too_high_lose(
    vectors: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenizer.study.tuning.NETWORK_RATES", (1e29, 1e30))
    ste = with_options(QUICK, {"quantizer": "ste"})
    tuned = tune(tmp_path, "ste", items_of(vectors), ste, 3)
    assert tuned.trials[1]["validation_error"] is None
    assert tuned.options == {}


def test_every_variant_is_tuned_by_as_many_trials_over_its_own_options() -> None:
    assert [trial_count(trials) for trials in (1, 2, 9, 10, 27)] == [0, 2, 9, 14, 36]
    for name in CONFIGS:
        config = with_options(QUICK, {"quantizer": name})
        space = space_of(config)
        assert {"learning_rate", "codebook_learning_rate"} <= set(space)
        for share in (0.0, 0.5, 1.0):
            with_options(config, {option: values.at(share) for option, values in space.items()})
        identity = with_options(config, {"network": "identity"})
        assert "learning_rate" not in space_of(identity)
    assert set(CONFIGS) - set(OWN_PARAMETER) == {"fsq", "nsvq"}


def test_ranges_are_even_in_the_logarithm() -> None:
    values = Range(1e-4, 1e-2)
    assert [values.at(share) for share in (0, 0.5, 1)] == pytest.approx([1e-4, 1e-3, 1e-2])
    choices = Range(choices=("a", "b"))
    assert [choices.at(share) for share in (0, 0.49, 0.5, 1)] == ["a", "a", "b", "b"]
