"""How time and memory grow with the catalogue and the codebook."""

import subprocess
import sys
from typing import Any

__all__ = ["ladder"]

ITEMS = (10_000, 100_000, 1_000_000)
SIZES = (256, 4096, 65_536)
PROGRAM = """
import json, sys, time
import torch
from tokenizer.quantizer_config import GritConfig
from tokenizer.quantizers import GritQuantizer
from tokenizer.model.residual import ResidualQuantizer

def megabytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))

items, size = map(int, sys.argv[1:])
config = GritConfig(
    codebook_size=size, start="random", reset_below=0.0, refresh_every=8, search_beam=1,
    crowded_choices=1,
)
torch.manual_seed(0)
stack = ResidualQuantizer([GritQuantizer(config, 32) for _ in range(4)])
latents = torch.randn(items, 32)
stack.start_from(latents[:8192], torch.Generator().manual_seed(0))
before = megabytes("VmRSS")
optimizer = torch.optim.AdamW(stack.parameters(), lr=1e-4, fused=True)
stack.train()
steps = []
for _ in range(6):
    started = time.perf_counter()
    output = stack(latents[:1024])
    optimizer.zero_grad()
    (output.quantized.square().mean() + output.loss).backward()
    optimizer.step()
    stack.after_step(0.5)
    steps.append(time.perf_counter() - started)
stack.eval()
few = latents[: min(items, 300_000_000 // size)]  # the largest books code a sample
started = time.perf_counter()
for block in torch.split(few, 512):
    stack.encode(block)
seconds = time.perf_counter() - started
print(json.dumps({
    "items": items, "codebook_size": size, "step_milliseconds": min(steps) * 1e3,
    "encoded": len(few), "encode_items_per_second": len(few) / seconds,
    "peak_memory_megabytes": megabytes("VmHWM"), "before_training_megabytes": before,
}))
"""


def ladder() -> list[dict[str, Any]]:
    """Return seconds and memory for each number of items and codewords, each in its own process."""
    import json

    rows = []
    for items in ITEMS:
        for size in SIZES:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, str(items), str(size)],
                check=True,
                capture_output=True,
                text=True,
            )
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows
