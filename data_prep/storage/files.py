"""Input files that can be read, and outputs that appear whole or not at all."""

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from data_prep.errors import InputError
from data_prep.storage.durable import make_folder, put_in_place, recover, workplace

__all__ = ["check_new", "check_writable", "existing_file", "written_aside"]


def existing_file(path: Path) -> Path:
    """Return `path` if it is a readable file.

    Raises:
        InputError: `path` is missing, a folder, or not readable.
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
    """Check that `path` can be created or replaced, so that no long work ends in that error.

    Makes the parent folder if it is missing, and nothing else. If a writer died while it replaced a
    folder at `path`, the old folder is put back first.

    Args:
        folder_of: the file names of a folder to write at `path`; empty for a file.

    Raises:
        InputError: the parent folder cannot be made or written; `path` is a folder instead of a
            file or a file instead of a folder; the folder at `path` has other files.
    """
    recover(path)
    place = path.resolve()
    if place.is_dir():
        if not folder_of:
            raise InputError(
                f"{path} is a folder, but the output is a file; give a file name in it"
            )
        foreign = sorted({entry.name for entry in place.iterdir()}.difference(folder_of))
        if foreign:
            raise InputError(
                f"{path} holds {foreign[0]!r}, which this command did not write and would remove; "
                f"choose a new folder"
            )
    elif place.exists() and folder_of:
        raise InputError(f"{path} is a file, but the output is a folder; choose another path")
    try:
        make_folder(place.parent)
        with tempfile.TemporaryFile(dir=place.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def check_new(path: Path, *, overwrite: bool) -> Path:
    """Return `path` if nothing is there, or if it may be replaced.

    Raises:
        InputError: something is there.
    """
    if path.exists() and not overwrite:
        raise InputError(
            f"{path} exists; choose another path, or pass overwrite=True to replace it"
        )
    return path


@contextmanager
def written_aside(path: Path, folder_of: Collection[str] = ()) -> Iterator[Path]:
    """Yield a path to write to, and move what was written to `path` when the block succeeds.

    The move is one step, on the disk too (`data_prep.storage.durable`). After an exception `path`
    is unchanged, and what was written is removed.

    Args:
        folder_of: the file names of a folder, which is made and replaces only a folder without
            other files; empty for a file.

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
    return InputError(f"cannot write {path}: {reason}; choose another path for the output")
