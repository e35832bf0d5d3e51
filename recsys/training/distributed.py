"""One training in one process, or in several that torchrun or accelerate launch starts."""

import atexit
import os
import warnings
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["Processes", "processes_for"]

T = TypeVar("T")


class Processes:
    """A training in one process; the base of a training in several.

    Attributes:
        count: how many processes there are.
        rank: the number of this process, from 0.
    """

    count = 1
    rank = 0

    def share(self, model: nn.Module) -> nn.Module:
        """Return the model on this process's device; its backward pass averages gradients."""
        return model

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        return tensor

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in the order of their ranks."""
        return [value]

    def of_first(self, value: T) -> T:
        """Return the value of the first process."""
        return value


class _Several(Processes):
    def __init__(self, *, on_cpu: bool) -> None:
        from accelerate import Accelerator, DistributedDataParallelKwargs

        # Buffers are constants, the same in every process.
        options = DistributedDataParallelKwargs(broadcast_buffers=False)
        self.accelerator = Accelerator(cpu=on_cpu, kwargs_handlers=[options])
        self.count, self.rank = self.accelerator.num_processes, self.accelerator.process_index
        atexit.register(self.accelerator.state.destroy_process_group)

    def share(self, model: nn.Module) -> nn.Module:
        with warnings.catch_warnings():  # torch 2.13 renames the option, accelerate does not yet
            warnings.filterwarnings("ignore", "`broadcast_buffers`", FutureWarning)
            shared: nn.Module = self.accelerator.prepare_model(model)
        return shared

    def sum(self, tensor: Tensor) -> Tensor:
        total: Tensor = self.accelerator.reduce(tensor, reduction="sum")
        return total

    def gather(self, value: T) -> list[T]:
        from accelerate.utils import gather_object

        values: list[T] = gather_object([value])
        return values

    def of_first(self, value: T) -> T:
        from accelerate.utils import broadcast_object_list

        values: list[Any] = broadcast_object_list([value])
        first: T = values[0]
        return first


def processes_for(device: torch.device) -> Processes:
    """Return the processes of this training, from the environment that the launcher sets.

    Args:
        device: of the model; on a GPU each process gets its own GPU.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    return _Several(on_cpu=device.type == "cpu")
