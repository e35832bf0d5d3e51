"""Standard input as a file, so that `-` can stand for a catalogue."""

import atexit
import shutil
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

__all__ = ["STANDARD_INPUT", "file_of"]

STANDARD_INPUT = Path("-")


def file_of(path: Path) -> Path:
    """Return `path`; for `-`, a temporary file with what standard input holds."""
    return _spooled() if path == STANDARD_INPUT else path


@lru_cache(maxsize=1)
def _spooled() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="semid-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "standard-input"
    with file.open("wb") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
    return file
