"""Checkpoints of a training on disk; a training resumes from one with the same result."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from data_prep.storage.files import written_aside

__all__ = ["load_checkpoint", "module_state", "restore_module", "save_checkpoint"]


def save_checkpoint(path: Path, key: str, state: Mapping[str, Any]) -> None:
    """Write a state of tensors, numbers, texts, lists and dicts, atomically.

    Args:
        key: identifies the training.
    """
    with written_aside(path) as aside:
        torch.save({"key": key, **state}, aside)


def load_checkpoint(path: Path, key: str) -> dict[str, Any] | None:
    """Read the state of the training `key`; None if there is none or its key differs.

    Only tensors and plain values are unpickled.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, UnpicklingError):
        return None
    return state if state.pop("key", None) == key else None


def module_state(module: nn.Module) -> dict[str, Tensor]:
    """Return copies of all parameters and buffers, including non-persistent buffers."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named}


@torch.no_grad()
def restore_module(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put back what `module_state` copied."""
    for name, parameter in module.named_parameters():
        parameter.copy_(state[name])
    for name, buffer in list(module.named_buffers()):
        owner, _, short = name.rpartition(".")
        setattr(module.get_submodule(owner), short, state[name].to(buffer.device).clone())
