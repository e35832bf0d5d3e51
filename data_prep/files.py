"""Outputs that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.errors import InputError

__all__ = ["check_writable", "existing_file", "written_aside"]


def existing_file(path: Path) -> Path:
    """Return `path` if it is a readable file.

    Raises:
        InputError: it is missing, a folder, or not readable.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; a file is needed here")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} cannot be read; check its permissions")
    return path


def check_writable(path: Path) -> None:
    """See that `path` can be created or replaced, before hours of work end in an error.

    Makes the parent folder if it is missing, and leaves nothing else behind.

    Raises:
        InputError: the parent folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to, and rename it onto `path` when the block succeeds.

    The block may make a file or a folder. After an exception what stood at `path` is untouched and
    what was written aside is removed.

    Raises:
        InputError: the folder cannot be written.
    """
    check_writable(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield aside
        if path.is_dir():
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(old)
            aside.rename(path)
            shutil.rmtree(old)
        else:
            aside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    return InputError(f"cannot write {path}: {reason}; choose another place for the output")
