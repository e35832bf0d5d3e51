"""How many items' codes differ between instruction sets: one tokenizer, the libraries capped."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import load_encoder
from data_prep.text import TextTemplate
from service.cli.terminal.console import output
from tests.bench.texts import beauty_texts, demo_texts
from tests.instruction_sets import CAPS, capped
from tokenizer.config import FitConfig
from tokenizer.pipeline import Pipeline
from tokenizer.training.fit import fit

__all__ = ["machines"]

TEXTS = 2000  # of the generated catalogue, where there is no other
FITTED_ON = 4096
STEPS = 500


def machines() -> dict[str, Any]:
    """Count Beauty's items, or generated ones, whose codes differ from those without a cap."""
    texts = beauty_texts() or demo_texts(TEXTS)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "texts.json").write_text(json.dumps(texts))
        for cap in CAPS:
            command = [sys.executable, "-m", "tests.bench.machines", cap, folder]
            output.print(f"{len(texts):,} texts with instructions capped: {cap}")
            subprocess.run(command, env=capped(cap), check=True)
        computed = {cap: np.load(place / f"{cap}.npz") for cap in CAPS}
        vectors, codes = computed["none"]["vectors"], computed["none"]["codes"]
        figures: dict[str, Any] = {"items": len(texts), "levels": codes.shape[1]}
        for cap in list(CAPS)[1:]:
            differ = (computed[cap]["codes"] != codes).any(axis=1)
            figures[f"{cap}_items_with_other_codes"] = int(differ.sum())
            figures[f"{cap}_share_with_other_codes"] = float(differ.mean())
            moved = np.abs(computed[cap]["vectors"] - vectors)
            figures[f"{cap}_largest_difference_of_a_component"] = float(moved.max())
            figures[f"{cap}_vectors_with_other_bits"] = int(moved.any(axis=1).sum())
    return figures


def _compute(cap: str, folder: Path) -> None:
    """Embed and tokenize under the cap that this process was started with.

    The first, without a cap, fits the tokenizer.
    """
    texts = json.loads((folder / "texts.json").read_text())
    encoder = load_encoder()
    vectors = embed(texts, encoder)
    tokenizer = folder / "tokenizer"
    if not tokenizer.is_dir():
        fit(
            tokenizer, vectors[:FITTED_ON], FitConfig(steps=STEPS), TextTemplate(), encoder,
            "texts", baseline=False,
        )  # fmt: skip
    codes = Pipeline.load(tokenizer).tokenize(vectors).codes
    np.savez(folder / f"{cap}.npz", vectors=vectors, codes=codes)


if __name__ == "__main__":
    _compute(sys.argv[1], Path(sys.argv[2]))
