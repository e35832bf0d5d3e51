"""Records of runs: what a results file says about the run that made it."""

import hashlib
import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["file_digest", "library_versions", "run_record", "trained_on"]

LIBRARIES = ("semid", "torch", "numpy", "polars", "faiss-cpu", "faiss-gpu", "sentence-transformers")


def run_record(seed: int | None, data_fingerprint: str, seconds: float) -> dict[str, Any]:
    """Return seed, versions, data fingerprint, command, wall time in seconds and machine."""
    return {
        "seed": seed,
        "versions": library_versions(),
        "data_fingerprint": data_fingerprint,
        "command": " ".join([_program(), *sys.argv[1:]]),
        "wall_seconds": round(seconds, 2),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "system": platform.platform(),
        },
    }


def trained_on(device: str) -> dict[str, str]:
    """Return what can change the last bits of a training: device, processor, torch and FAISS.

    Args:
        device: as `data_prep.embedding.devices.resolve_device` returns it.
    """
    import torch

    versions = library_versions()
    setting = {
        "device": device,
        "processor": _processor(),
        "torch": torch.__version__,
        "faiss": ", ".join(f"{n} {v}" for n, v in versions.items() if n.startswith("faiss")),
    }
    if device != "cpu":
        setting["gpu"] = torch.cuda.get_device_name(device)
        setting["cuda"] = str(torch.version.cuda)
    return setting


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed libraries that can change a result."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _program() -> str:
    """Return how the program is called; a file of a package as a module, in workers too."""
    file = Path(sys.argv[0])
    if file.suffix != ".py" or not (file.parent / "__init__.py").is_file():
        return file.name
    parts = [] if file.name == "__main__.py" else [file.stem]
    folder = file.resolve().parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return f"python -m {'.'.join(parts)}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
