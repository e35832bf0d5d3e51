"""`python -m recsys.benchmarks`: which cells it runs."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.benchmarks.__main__ import main
from recsys.benchmarks.choices import finalists
from recsys.data.dataset import SequenceDataset


def test_further_seeds_are_of_the_finalists_alone_and_without_finalists_of_all(
    dataset: SequenceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = np.random.default_rng(0).normal(size=(3, 16, 8)).astype(np.float32)
    paths = []
    for tokenizer, seed in (("grit-3x16", 0), ("kmeans-3x16", 1)):
        codes = np.random.default_rng(seed).permutation(16**3)[:300]
        coded = replace(
            dataset,
            vectors=None,
            codebooks=books,
            codes=np.stack([codes // 256, codes // 16 % 16, codes % 16], 1).astype(np.uint16),
        )
        paths.append(tmp_path / f"D-{tokenizer}.safetensors")
        coded.save(paths[-1])

    def run(count: int) -> list[str]:
        given = ["--model", "dual-encoder", "--preset", "smoke", "--device", "cpu"]
        given += ["--seeds", "2", "--finalists", str(count), "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", ["x", *map(str, paths), *given])
        main()
        return sorted(path.stem for path in (tmp_path / "out" / "records").iterdir())

    first = ["D-dual-encoder-grit-3x16-seed0", "D-dual-encoder-kmeans-3x16-seed0"]
    found = run(1)
    records = [
        json.loads((tmp_path / "out/records" / f"{name}.json").read_text()) for name in first
    ]
    [best] = finalists(records, 1)
    assert found == sorted([*first, f"D-dual-encoder-{best}-seed1"])
    assert len(run(0)) == 4
