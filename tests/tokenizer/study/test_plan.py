"""Plans: comparisons with cells side by side, the same as in turn, kept and gone on with."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.quantizers.grit.radius import RADII
from tokenizer.study.cells import OutOfTimeError, in_turn, side_by_side
from tokenizer.study.items import StudyItems
from tokenizer.study.plan import make_plan, read_plan

PLAN = """
[[comparison]]
name = "two"
items = ["a.safetensors", "b.safetensors"]
quantizers = ["diveq", "ste", "grit"]
tune = 3
seeds = 2
best = 2
set = {codebook_size = 8, levels = 2, hidden = "16", steps = 9, warmup_steps = 2, batch_size = 64}

[[comparison]]
name = "levels"
items = "a.safetensors"
rows = {"two levels" = {levels = 2}, "three" = {}}
set = {codebook_size = 8, levels = 3, network = "identity", steps = 1}
"""


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute as a cell side by side does, whatever the number of this process's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def plan(tmp_path: Path, vectors: NDArray[np.float32]) -> Path:
    labels = tuple("ab"[number % 2] for number in range(len(vectors)))
    half = len(vectors) // 2
    for name, part in (("a", slice(half)), ("b", slice(half, None))):
        StudyItems(vectors[part], labels[part], name).save(tmp_path / f"{name}.safetensors")
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def test_saved_items_are_the_vectors_to_eight_bits(
    plan: Path, vectors: NDArray[np.float32]
) -> None:
    files = (plan.parent / "a.safetensors", plan.parent / "b.safetensors")
    items = StudyItems.load(*files)
    lost = np.square(items.vectors - vectors).sum() / np.square(vectors).sum()
    assert 1e-6 < lost < 1e-4
    assert items.labels[:3] == ("a", "b", "a")
    assert items.fingerprint != StudyItems.load(files[0]).fingerprint
    assert StudyItems.load(*files) is items


@pytest.mark.usefixtures("one_thread")
def test_cells_side_by_side_are_those_made_in_turn(plan: Path, tmp_path: Path) -> None:
    """Two processes, each a thread; the same records as one, and none is made twice."""
    both, alone = tmp_path / "both", tmp_path / "alone"
    command = [
        sys.executable,
        "-m",
        "tokenizer.study",
        str(plan),
        "--out",
        str(both),
        "--jobs",
        "2",
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told == "two: made\nlevels: made\n"
    kept = json.loads((both / "two.json").read_text())
    rows = kept["rows"]
    assert [row["seeds"] for row in rows] == [2, 2, 1]  # the best two have a second seed
    assert "two levels" in (both / "levels.md").read_text()
    assert [len(kept[part]) for part in ("runs", "trials")] == [5, 9]
    assert "held_out_losses" not in kept["runs"][0]
    assert kept["runs"][0]["history"][-1]["validation_error"] > 0
    records = sorted(both.glob("*/[rt]*s/*.json"))
    assert len(records) == 3 * 3 + 3 + 2 + 2  # trials, runs, second seeds, levels
    before = {path: path.stat().st_mtime_ns for path in records}
    assert make_plan(read_plan(plan), both, in_turn(), 1) == {}
    assert {path: path.stat().st_mtime_ns for path in records} == before
    assert make_plan(read_plan(plan), alone, in_turn(), 1) == {}
    for path in both.glob("*/runs/*.json"):
        ours, theirs = (
            json.loads(path.read_text()),
            json.loads((alone / path.relative_to(both)).read_text()),
        )
        assert ours["history"] == theirs["history"]
        assert ours["config"] == theirs["config"]


def test_no_cell_starts_after_the_time_is_over() -> None:
    with side_by_side(1, until=time.time() - 1) as mapped, pytest.raises(OutOfTimeError):
        list(mapped(abs, [-1]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('study = "radios"', "did you mean 'radius'"),
        ('studie = "radius"', "unknown key of a comparison 'studie'"),
        ('rows = {a = {radios = "huber"}}', "unknown option 'radios'"),
        ('quantizers = ["grid"]', "unknown quantizer 'grid'"),
        ("tune = 3", "no rows"),
    ],
)
def test_wrong_plans_are_refused_before_any_cell(plan: Path, wrong: str, message: str) -> None:
    plan.write_text(f'[[comparison]]\nname = "x"\nitems = "a.safetensors"\n{wrong}\n')
    with pytest.raises(InputError, match=message):
        read_plan(plan)


def test_a_study_of_the_paper_is_a_comparison(plan: Path) -> None:
    plan.write_text('[[comparison]]\nname = "x"\nitems = "a.safetensors"\nstudy = "radius"\n')
    assert set(read_plan(plan)[0].rows) == set(RADII)
