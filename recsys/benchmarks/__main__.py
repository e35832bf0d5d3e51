"""`python -m recsys.benchmarks DATASET… --model tiger --out DIR`: cells from prepared files."""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.embedding.devices import resolve_device
from data_prep.errors import InputError
from data_prep.threads import use_threads

use_threads()  # before torch loads, which reads it then

from recsys.benchmarks.cells import CONTENT, Cell, dataset_read
from recsys.benchmarks.choices import GRID, Choices, finalists
from recsys.benchmarks.jobs import Job, run_jobs
from recsys.models.baselines import BASELINES
from recsys.presets import PRESETS, Preset, preset_named


def main() -> None:
    """Train and measure each model with each seed on each given file."""
    parser = argparse.ArgumentParser(
        prog="python -m recsys.benchmarks",
        description="Train and measure models on files that `semid benchmark --prepare-only` "
        "wrote; this needs torch alone. Copy the records into the benchmark's folder: "
        "`semid benchmark` then shows them in its tables. A later run goes on from the records.",
    )
    parser.add_argument("datasets", nargs="+", type=Path, help="CATEGORY-TOKENIZER.safetensors")
    parser.add_argument("--model", required=True, action="append", help="may be repeated")
    parser.add_argument("--preset", default="paper", choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds: 0, 1, …")
    parser.add_argument("--cold", type=float, default=0.0, help="share of items held out")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, cpu or auto")
    parser.add_argument("--threads", type=int, default=0, help="0 for as many as it may use")
    parser.add_argument("--jobs", type=int, default=1, help="cells side by side")
    parser.add_argument(
        "--stop-after", type=float, default=0, help="seconds after which no cell begins"
    )
    parser.add_argument(
        "--search",
        action="store_true",
        help="choose learning rate and dropout by validation, with seed 0, into choices.json",
    )
    parser.add_argument(
        "--no-checkpoints",
        action="store_true",
        help="a stopped training begins again; kept records still count",
    )
    parser.add_argument(
        "--finalists",
        type=int,
        default=0,
        help="tokenizers that go on after the first seed, by validation; 0 for all",
    )
    parser.add_argument("--choices", type=Path, help="choices.json of a search")
    parser.add_argument("--out", required=True, type=Path, help="folder of the benchmark")
    given = parser.parse_args()
    use_threads(given.threads)
    preset = preset_named(given.preset)
    jobs = list(_jobs(given, preset, resolve_device(given.device)))
    until = time.monotonic() + given.stop_after if given.stop_after else math.inf
    first = [job for job in jobs if not (given.finalists and job.cell.seed)]
    records = _told(given, first, until)
    if given.finalists:
        best = ("", *finalists(records, given.finalists))
        further = [job for job in jobs if job.cell.seed and job.cell.tokenizer in best]
        _told(given, further, until)
    if given.search:
        chosen = Choices.of(records)
        chosen.write(given.out / "choices.json")
        print(json.dumps(chosen.options))  # noqa: T201


def _told(given: argparse.Namespace, jobs: Sequence[Job], until: float) -> list[dict[str, Any]]:
    """Run jobs, print a line for each, and return the records."""
    records = []
    for job, record in run_jobs(jobs, given.jobs, given.threads, until):
        if record is None:
            continue
        records.append(record)
        if given.search:
            print(f"{job.name}: validation {record['monitor']:.4f}", flush=True)  # noqa: T201
            continue
        metrics = (record["metrics"][name] for name in ("all", "without_history"))
        told = " · ".join(f"{each['recall@10']:.4f} {each['ndcg@10']:.4f}" for each in metrics)
        print(f"{job.name}: {told}", flush=True)  # noqa: T201
    return records


def _jobs(given: argparse.Namespace, preset: Preset, device: str) -> Iterator[Job]:
    """Yield the jobs: for each seed, each model on each file that it can read.

    Raises:
        InputError: an unknown model, or one that can read none of the files.
    """
    for model in given.model:
        if not any(_reads(preset, model, path) for path in given.datasets):
            kind = dataset_read(preset, model, "TOKENIZER")
            name = "-".join(part for part in ("CATEGORY", kind) if part)
            raise InputError(f"{model} reads none of these files; give it {name}.safetensors")
    variants = (
        [(0, options) for options in GRID]
        if given.search
        else [(seed, None) for seed in range(given.seeds)]
    )
    for seed, options in variants:
        for model in given.model:
            for path in given.datasets:
                if _reads(preset, model, path) and not (seed and model in BASELINES):
                    category, _, kind = path.stem.partition("-")
                    tokenizer = kind if kind != CONTENT else ""
                    cell = Cell(category, model, tokenizer, seed, given.cold)
                    yield Job(
                        cell,
                        path,
                        preset.name,
                        given.out,
                        device,
                        options,
                        given.choices,
                        not given.no_checkpoints,
                    )


def _reads(preset: Preset, model: str, path: Path) -> bool:
    """Return whether a model reads a file, by the part of its name after the category."""
    kind = path.stem.partition("-")[2]
    coded = kind if kind != CONTENT else "TOKENIZER"
    return kind == dataset_read(preset, model, coded or "TOKENIZER")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"semid: {error}")
