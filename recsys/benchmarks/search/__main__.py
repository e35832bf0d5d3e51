"""`python -m recsys.benchmarks.search DATASET… --model NAME --out DIR`: cells on an accelerator.

The files come from `semid benchmark search --prepare-only`. Each cell is a process of its own.
"""

import argparse
import sys
from concurrent.futures import as_completed
from pathlib import Path

from data_prep.embedding.devices import resolve_device
from data_prep.errors import InputError
from data_prep.processes import worker_processes
from data_prep.threads import use_threads

use_threads()  # before torch loads, which reads it then

from recsys.benchmarks.search.jobs import Job, run_job
from recsys.benchmarks.search.methods import BASELINES
from recsys.benchmarks.search.plan import SearchPlan, cells_of
from recsys.search.presets import PRESETS, preset_named
from tokenizer.options import fitted_configs


def main() -> None:
    """Fit the tokenizers, then train and measure each model with each seed on each file."""
    parser = argparse.ArgumentParser(prog="python -m recsys.benchmarks.search", description=__doc__)
    parser.add_argument("datasets", nargs="+", type=Path, help="NAME.safetensors")
    parser.add_argument("--model", required=True, action="append", help="may be repeated")
    parser.add_argument("--quantizer", action="append", default=[], help="may be repeated")
    parser.add_argument("--codebook-size", action="append", type=int, default=[], help="K")
    parser.add_argument("--preset", default="quick", choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds: 0, 1, …")
    parser.add_argument("--epochs", type=int, default=0, help="most epochs; 0 for the preset's")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, cpu or auto")
    parser.add_argument("--jobs", type=int, default=1, help="cells side by side")
    parser.add_argument("--out", required=True, type=Path, help="folder of the benchmark")
    given = parser.parse_args()
    preset, device = preset_named(given.preset), resolve_device(given.device)
    sizes = given.codebook_size or [None]
    configs = tuple(
        config
        for size in sizes
        for config in fitted_configs(
            given.quantizer or ["grit"],
            dict(preset.tokenizer) | ({} if size is None else {"codebook_size": size}),
        )
    )
    plan = SearchPlan(preset, tuple(given.model), configs, given.seeds, device)
    cells = [
        Job(path, given.out, given.preset, given.epochs, device, config, cell)
        for path in given.datasets
        for cell, config in cells_of(plan, path.stem)
        if cell.model not in BASELINES
    ]
    first = {(job.dataset, job.config): job for job in cells if job.config is not None}
    fits = [Job(j.dataset, j.out, j.preset, 0, j.device, j.config, None) for j in first.values()]
    with worker_processes(given.jobs) as pool:
        plain = [pool.submit(run_job, job) for job in cells if job.config is None]
        for told in pool.map(run_job, fits):
            print(told, flush=True)  # noqa: T201
        coded = [pool.submit(run_job, job) for job in cells if job.config is not None]
        for done in as_completed([*plain, *coded]):
            print(done.result(), flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"semid: {error}")
