"""Time and memory of a training step, as GRIT-VQ's appendix E.4 asks."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load_file

from data_prep.embedding.devices import full_precision
from data_prep.markdown import markdown_table
from data_prep.storage.files import written_aside
from data_prep.storage.record import run_record, trained_on
from tokenizer.images.config import ImageConfig
from tokenizer.images.data.device_images import DeviceImages, load_images
from tokenizer.images.model.classifier import Classifier
from tokenizer.images.options import with_image_options
from tokenizer.images.study.cells import Place
from tokenizer.images.training.loop import TrainingRun
from tokenizer.training.randomness import deterministic

__all__ = ["COSTED", "measure_cost", "step_seconds"]

# Rows: GRIT-VQ's baseline, its transforms, and its cached codebook.
COSTED: dict[str, Mapping[str, object]] = {
    "ste": {"quantizer": "ste"},
    "simvq": {"quantizer": "simvq"},
    "grit, linear": {"quantizer": "grit"},
    "grit, linear, every 8": {"quantizer": "grit", "refresh_every": 8},
    "grit, linear, frozen": {"quantizer": "grit", "protocol": "frozen"},
    "grit, attention": {"quantizer": "grit", "transform": "attention"},
    "grit, attention, top k": {"quantizer": "grit", "transform": "attention_top_k"},
    "grit, attention, low rank": {"quantizer": "grit", "transform": "attention_low_rank"},
}
STEPS = 10  # of one turn


def measure_cost(place: Place, config: ImageConfig, sizes: Sequence[int], rounds: int = 5) -> str:
    """Measure rows at each codebook size, write `place.out`/cost, and return the table.

    Nothing else should run on the device meanwhile.
    """
    full_precision()
    started = time.perf_counter()
    images = load_images(place.images, place.held_out, place.device)
    state = load_file(place.classifier("critic"))
    critic = Classifier(len(state["head.bias"]))
    critic.load_state_dict(state)
    critic.to(place.device).eval().requires_grad_(requires_grad=False)
    rows: list[dict[str, Any]] = []
    for size in sizes:
        configs = {
            name: with_image_options(config, {**options, "codebook_size": size})
            for name, options in COSTED.items()
        }
        seconds, memory = step_seconds(images, critic, configs, rounds)
        for name in configs:
            row = {"name": name, "codebook_size": size, "milliseconds": seconds[name] * 1e3}
            row["to_ste"] = seconds[name] / seconds["ste"]
            if memory:
                row["mebibytes"] = memory[name] / 2**20
                row["memory_to_ste"] = memory[name] / memory["ste"]
            rows.append(row)
    table = _table(rows)
    kept = {
        "rows": rows,
        "batch_size": config.batch_size,
        "trained_on": trained_on(place.device),
        "record": run_record(0, place.digest, time.perf_counter() - started),
    }
    for name, text in (("cost.json", json.dumps(kept, indent=1)), ("cost.md", table + "\n")):
        with written_aside(place.out / "cost" / name) as path:
            path.write_text(text)
    return table


def step_seconds(
    images: DeviceImages,
    critic: Classifier,
    configs: Mapping[str, ImageConfig],
    rounds: int = 5,
) -> tuple[dict[str, float], dict[str, int]]:
    """Return the seconds of a step of each configuration, and its bytes of memory on a GPU.

    Configurations take turns, so that a slow moment of the machine affects all of them; the median
    of their turns counts. Bytes are the peak of a step, with parameters and optimizer.
    """
    runs: dict[str, TrainingRun] = {}
    memory: dict[str, int] = {}
    device = images.training.device
    first = next(iter(configs))
    with deterministic(0):
        # The first configuration comes twice: what libraries keep from then on is not its own.
        for name, config in [(first, configs[first]), *configs.items()]:
            random = replace(config, quantizer=replace(config.quantizer, start="random"))
            runs.pop(name, None)
            before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
            runs[name] = TrainingRun(images, critic, random)
            runs[name].start_quantizing()
            for step in range(1, 4):
                runs[name].step(step)
                if step == 1 and device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats(device)
            if device.type == "cuda":
                memory[name] = torch.cuda.max_memory_allocated(device) - before
        turns: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(rounds):
            for name, run in runs.items():
                run.synchronise()
                started = time.perf_counter()
                for step in range(STEPS):
                    run.step(4 + turn * STEPS + step)
                run.synchronise()
                turns[name].append((time.perf_counter() - started) / STEPS)
    return {name: statistics.median(values) for name, values in turns.items()}, memory


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    headings = ["", "K", "ms a step", "to ste", "MiB", "to ste"]
    return markdown_table(
        headings,
        [
            [
                row["name"],
                f"{row['codebook_size']:,}",
                f"{row['milliseconds']:.2f}",
                f"{row['to_ste']:.3f}",
                f"{row['mebibytes']:,.0f}" if "mebibytes" in row else "",
                f"{row['memory_to_ste']:.3f}" if "memory_to_ste" in row else "",
            ]
            for row in rows
        ],
    )
