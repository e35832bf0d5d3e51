"""`python -m recsys.benchmarks DATASET… --model tiger --out DIR`: cells from prepared files."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from data_prep.embedding.devices import resolve_device
from data_prep.errors import InputError
from data_prep.threads import use_threads

use_threads()  # before torch loads, which reads it then

from recsys.benchmarks.cells import Cell, run_cell
from recsys.data.dataset import SequenceDataset
from recsys.presets import PRESETS, preset_named
from recsys.training.loop import Measurement


def main() -> None:
    """Train and measure each model with each seed on each given file, one after the other."""
    parser = argparse.ArgumentParser(
        prog="python -m recsys.benchmarks",
        description="Train and measure models on files that `semid benchmark --prepare-only` "
        "wrote; this needs torch alone. Copy the records into the benchmark's folder: "
        "`semid benchmark` then shows them in its tables.",
    )
    parser.add_argument("datasets", nargs="+", type=Path, help="CATEGORY-TOKENIZER.safetensors")
    parser.add_argument("--model", required=True, action="append", help="may be repeated")
    parser.add_argument("--preset", default="paper", choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds: 0, 1, …")
    parser.add_argument("--cold", type=float, default=0.0, help="share of items held out")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, cpu or auto")
    parser.add_argument("--threads", type=int, default=0, help="0 for as many as it may use")
    parser.add_argument("--out", required=True, type=Path, help="folder of the benchmark")
    given = parser.parse_args()
    use_threads(given.threads)
    device = resolve_device(given.device)
    preset = preset_named(given.preset)
    for path in given.datasets:
        dataset = SequenceDataset.load(path)
        category, _, tokenizer = path.stem.partition("-")
        notes = path.with_suffix(".json")
        entries = json.loads(notes.read_text()) if notes.is_file() else {}
        for model in given.model:
            for seed in range(given.seeds):
                quantized = model in preset.models and preset.models[model].quantized
                if tokenizer and not quantized:
                    raise InputError(
                        f"{model} reads no codes; train it on {category}.safetensors instead of "
                        f"{path.name}"
                    )
                cell = Cell(category, model, tokenizer if quantized else "", seed, given.cold)
                record = run_cell(
                    given.out, cell, preset, dataset, entries, device, _progress(cell)
                )
                metrics = record["metrics"]["all"]
                print(f"{cell.name}: R@10 {metrics['recall@10']:.4f}")  # noqa: T201


def _progress(cell: Cell) -> Callable[[int, int, Measurement | None], None]:
    def report(step: int, total: int, measured: Measurement | None) -> None:
        if measured is not None:
            shown = measured.validation["all"]["ndcg@10"]
            print(f"{cell.name}: step {step} of {total}, N@10 {shown:.4f}", file=sys.stderr)  # noqa: T201

    return report


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"semid: {error}")
