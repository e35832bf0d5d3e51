"""Random draws: one seed gives one result, also for a training that was stopped between."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["deterministic", "random_state", "restore_random_state"]


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Draw from `seed` and sum in one order, and leave torch's global state as it was."""
    before = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS sums in one order with it
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def random_state(generator: torch.Generator, device: torch.device) -> dict[str, Tensor]:
    """Return where the draws stand: of `generator`, of torch, and of a GPU where one is used."""
    state = {"generator": generator.get_state(), "cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(
    state: Mapping[str, Tensor], generator: torch.Generator, device: torch.device
) -> None:
    """Go on with the draws where `random_state` found them."""
    generator.set_state(state["generator"])
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
