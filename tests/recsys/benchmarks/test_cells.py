"""Which kept records of a benchmark count."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.benchmarks.cells import Cell, run_cell
from recsys.data.dataset import SequenceDataset
from recsys.presets import preset_named


@pytest.mark.parametrize(
    ("model", "counts"), [("dual-encoder", True), ("dual-encoder-nearness", False)]
)
def test_a_record_of_before_counts_if_the_model_trains_as_then(
    model: str, counts: bool, dataset: SequenceDataset, tmp_path: Path
) -> None:
    """Before there were transitions, nearness trained with the model; the rest is as it was."""
    data = replace(
        dataset, codebooks=np.random.default_rng(0).normal(size=(3, 16, 8)).astype(np.float32)
    )
    cell, preset = Cell("Shop", model, "t"), preset_named("smoke")
    run_cell(tmp_path, cell, preset, data, {"kept": True})
    assert run_cell(tmp_path, cell, preset, data).get("kept")
    path = tmp_path / "records" / f"{cell.name}.json"
    record = json.loads(path.read_text())
    del record["config"]["shape"]["transitions"]
    path.write_text(json.dumps(record))
    assert bool(run_cell(tmp_path, cell, preset, data).get("kept")) is counts
