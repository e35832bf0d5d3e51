"""Random draws: a seed determines the result, even if a training is stopped and resumed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

__all__ = ["deterministic", "random_state", "restore_random_state"]


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Seed torch and use deterministic algorithms; restore torch's state afterwards."""
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # makes cuBLAS deterministic
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        # Nothing here reads memory before it is written, and filling it costs a pass each time.
        memory.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
            memory.fill_uninitialized_memory = fills


def random_state(generator: torch.Generator, device: torch.device) -> dict[str, Tensor]:
    """Return the random states of `generator`, of torch, and of the GPU if one is used."""
    state = {"generator": generator.get_state(), "cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(
    state: Mapping[str, Tensor], generator: torch.Generator, device: torch.device
) -> None:
    """Restore the random states that `random_state` returned."""
    generator.set_state(state["generator"])
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
