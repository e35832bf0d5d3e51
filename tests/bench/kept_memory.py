"""What `freed_memory_kept` gives a generator's training: time of a step, and memory at the end."""

import json
import subprocess
import sys
from typing import Any

__all__ = ["kept_memory"]

CODE = """
import json, resource, sys, time
from contextlib import nullcontext
import torch
torch.set_num_threads(1)
from recsys.generation.generator import Generator
from recsys.generation.generator_config import GeneratorConfig
from tests.bench.generator import training_data
from tokenizer.training.memory import freed_memory_kept

data = training_data()
torch.manual_seed(0)
model = Generator(GeneratorConfig(headroom=0), data).train()
examples = model.examples(data)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
draw = torch.Generator().manual_seed(0)
with freed_memory_kept() if sys.argv[1] == "kept" else nullcontext():
    started = time.perf_counter()
    for _ in range(40):
        rows = int(torch.randint(128, 257, (1,), generator=draw))
        chosen = torch.randint(len(examples), (rows,), generator=draw)
        loss = model(examples[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seconds = (time.perf_counter() - started) / 40
    pages = int(open("/proc/self/statm").read().split()[1])
print(json.dumps([seconds, pages * resource.getpagesize()]))
"""


def kept_memory() -> dict[str, Any]:
    """Return milliseconds a step and MiB held after 40 steps, with and without, one thread."""
    found: dict[str, Any] = {}
    for name in ("kept", "returned"):
        command = [sys.executable, "-c", CODE, name]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds, held = json.loads(told)
        found |= {f"{name}_milliseconds_a_step": seconds * 1e3, f"{name}_mib": held / 2**20}
    return found
