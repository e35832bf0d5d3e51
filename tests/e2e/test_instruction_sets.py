"""Other processors, seen from this one: one text has one vector and one ID on each of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.demo import demo_items
from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import load_encoder
from data_prep.text import TextTemplate
from tests.conftest import SMALL
from tests.instruction_sets import CAPS, capped
from tokenizer.training.fit import fit

CAPABILITY = {"avx2": "AVX2", "sse": "DEFAULT"}
QUICK = [("none", 2), ("avx2", 2), ("sse", 1)]
REST = [(cap, threads) for cap in CAPS for threads in (1, 2, 3) if (cap, threads) not in QUICK]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tokenizer of MiniLM's vectors."""
    folder = tmp_path_factory.mktemp("machines") / "tokenizer"
    texts = TextTemplate().render_all(demo_items(80).iter_rows(named=True))
    encoder = load_encoder()
    fit(folder, embed(texts, encoder), SMALL, TextTemplate(), encoder, "digest", baseline=False)
    return folder


def _computed(cap: str, threads: int, tokenizer: Path, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.e2e.company", str(tokenizer), str(folder)]
    done = subprocess.run(
        command, env=capped(cap, threads), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    computed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert computed["capability"] == CAPABILITY.get(cap, computed["capability"])
    return computed


@pytest.mark.parametrize(("cap", "threads"), QUICK)
def test_nothing_depends_on_company_order_threads_or_http(
    cap: str, threads: int, tokenizer: Path, tmp_path: Path
) -> None:
    _computed(cap, threads, tokenizer, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("cap", "threads"), REST)
def test_nothing_depends_on_company_under_any_cap(
    cap: str, threads: int, tokenizer: Path, tmp_path: Path
) -> None:
    _computed(cap, threads, tokenizer, tmp_path)


@pytest.mark.slow
def test_processes_with_other_threads_compute_the_same_bits(
    tokenizer: Path, tmp_path: Path
) -> None:
    for cap in CAPS:
        runs = []
        for threads in (1, 2, 3):
            folder = tmp_path / f"{cap}{threads}"
            folder.mkdir()
            runs.append(_computed(cap, threads, tokenizer, folder))
        assert len({run["vectors"] for run in runs}) == 1
        assert all(np.array_equal(run["codes"], runs[0]["codes"]) for run in runs)
