"""Outputs that appear whole or not at all."""

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.errors import InputError
from data_prep.storage.durable import make_folder, put_in_place, recover, workplace

__all__ = ["check_writable", "existing_file", "written_aside"]


def existing_file(path: Path) -> Path:
    """Return `path` if it is a readable file.

    Raises:
        InputError: it is missing, a folder, or not readable.
    """
    recover(path.parent)
    if path.is_dir():
        raise InputError(f"{path} is a folder; a file is needed here")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} cannot be read; check its permissions")
    return path


def check_writable(path: Path, folder_of: Collection[str] = ()) -> None:
    """See that `path` can be created or replaced, before hours of work end in an error.

    Makes the parent folder if it is missing, and leaves nothing else behind. A folder at `path`
    whose writer died while it replaced it is put back first.

    Args:
        folder_of: the names that a folder at `path` is to hold; empty where a file is written.

    Raises:
        InputError: the parent folder cannot be made or written; a folder stands where a file is to
            be, or a file where a folder; the folder that stands there holds something else.
    """
    recover(path)
    place = path.resolve()
    if place.is_dir():
        if not folder_of:
            raise InputError(f"{path} is a folder; a file is written here; name one in it")
        foreign = sorted({entry.name for entry in place.iterdir()}.difference(folder_of))
        if foreign:
            raise InputError(
                f"{path} holds {foreign[0]!r}, which this command did not write and would remove; "
                f"choose a folder of its own"
            )
    elif place.exists() and folder_of:
        raise InputError(f"{path} is a file; a folder is written here; choose another place")
    try:
        make_folder(place.parent)
        with tempfile.TemporaryFile(dir=place.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def written_aside(path: Path, folder_of: Collection[str] = ()) -> Iterator[Path]:
    """Yield a path beside `path` to write to, which stands at `path` when the block succeeds.

    It does so from one moment on, on the disk too (`data_prep.storage.durable`). After an exception
    what stood at `path` is untouched and what was written aside is removed.

    Args:
        folder_of: the names of a folder's files; the folder is made, and replaces only a folder
            that holds nothing else. Empty where a file is written.

    Raises:
        InputError: as `check_writable`.
    """
    check_writable(path, folder_of)
    place = path.resolve()
    try:
        with workplace(place) as work:
            aside = work / place.name
            if folder_of:
                aside.mkdir()
            yield aside
            put_in_place(aside, place)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    return InputError(f"cannot write {path}: {reason}; choose another place for the output")
