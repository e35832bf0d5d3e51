"""Names of devices: the CPU or a GPU."""

import re

from data_prep.errors import InputError

__all__ = ["full_precision", "resolve_device"]

NAMES = re.compile(r"auto|cpu|cuda(?::([0-9]{1,4}))?")


def resolve_device(name: str) -> str:
    """Return the device that `name` means: `cpu`, `cuda`, or one of several GPUs as `cuda:1`.

    Args:
        name: one of these, or `auto`: `cuda` if torch sees a GPU, else `cpu`.

    Raises:
        InputError: torch does not see that GPU, or is a build without CUDA.
    """
    found = NAMES.fullmatch(name)
    if found is None:
        raise InputError(f"--device {name}: give cpu, cuda, one of several GPUs as cuda:1, or auto")
    if name == "cpu":
        return name
    import torch

    seen = torch.cuda.device_count()
    if name == "auto":
        return "cuda" if seen else "cpu"
    if torch.version.cuda is None:
        raise InputError(
            f"--device {name}: torch {torch.__version__} here is a build without CUDA; install one "
            f"with it (make install ACCELERATOR=gpu), or give cpu"
        )
    if not seen:
        raise InputError(
            f"--device {name}: torch {torch.__version__}, built for CUDA {torch.version.cuda}, "
            f"sees no GPU here; install NVIDIA's driver (nvidia-smi must list the GPU), or give cpu"
        )
    if int(found[1] or 0) >= seen:
        raise InputError(
            f"--device {name}: torch sees {seen} GPUs here, cuda:0 to cuda:{seen - 1}; give one of "
            f"them, or cpu"
        )
    return name


def full_precision() -> None:
    """Turn off TF32 and half-precision sums for this process's float32 products.

    They change a vector by 1e-3 of its length, which can change the item's ID.
    """
    import torch

    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
