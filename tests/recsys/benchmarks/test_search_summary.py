"""The paired tests of a search benchmark."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recsys.benchmarks.cells import Cell
from recsys.benchmarks.search.summary import TESTED, significance_of

SYSTEMS = (
    ("content", ""),
    ("dual-encoder", "kmeans-4x256"),
    ("dual-encoder", "grit-4x256"),
    ("dual-encoder", "grit-8x256"),
)


def test_every_dual_encoder_on_grit_codes_is_tested_and_a_pair_once(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    records = []
    (tmp_path / "requests").mkdir()
    for model, tokenizer in SYSTEMS:
        cell = Cell(category="Beauty", model=model, tokenizer=tokenizer, seed=0)
        values: Any = {metric: draw.random(50) for metric in TESTED}
        np.savez(tmp_path / "requests" / f"{cell.name}.npz", **values)
        records.append({"cell": asdict(cell)})
    found = significance_of(tmp_path, records)
    pairs = [(each["system"], each["baseline"]) for each in found if each["metric"] == TESTED[0]]
    four, eight = "dual-encoder · grit-4x256", "dual-encoder · grit-8x256"
    others = ["content", "dual-encoder · kmeans-4x256"]
    assert sorted(pairs) == sorted(
        [(four, eight), *((four, other) for other in others), *((eight, other) for other in others)]
    )
