"""Replaces a file or folder in one step that even a power cut cannot split.

The new content is made in a workplace: a folder `.NAME.xxxxxxxx.tmp` beside the final path, locked
by its writer. The content is synced to the disk and exchanged with the old one; then the parent
folder is synced. Systems that cannot exchange two folders need two renames. Between them the old
folder is in the workplace, and `recover` puts it back if the writer died there.
"""

import ctypes
import errno
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from data_prep.errors import InputError

__all__ = ["make_folder", "put_in_place", "recover", "workplace"]

RENAME_WAIT = 1.0  # seconds that a reader waits for a writer between its two renames
CURRENT_FOLDER = -100  # AT_FDCWD of Linux
EXCHANGE = 2  # RENAME_EXCHANGE of Linux
UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, and sync them.

    Raises:
        OSError: a folder cannot be made.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        _sync(one.parent)


@contextmanager
def workplace(place: Path) -> Iterator[Path]:
    """Yield a new empty folder beside `place`, and remove it with its contents at the end.

    Workplaces of dead writers are removed first.

    Raises:
        OSError: the folder cannot be made.
    """
    for abandoned in _workplaces(place):
        if not _in_use(abandoned):
            shutil.rmtree(abandoned, ignore_errors=True)
    work, lock = _locked_folder(place)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(lock)


def put_in_place(new: Path, place: Path) -> None:
    """Sync `new`, which is in a `workplace`, and move it to `place` in one step.

    Raises:
        OSError: that failed; the old content is still at `place`.
    """
    _sync_tree(new)
    if not place.is_dir():
        os.replace(new, place)  # noqa: PTH105 - tests watch the calls of os
    elif not _exchange(new, place):
        _rename_twice(new, place)
    _sync(place.parent)


def recover(path: Path) -> None:
    """Put back the folder at `path` if a writer died between its two renames.

    Raises:
        InputError: the folder cannot be put back.
    """
    place = path.resolve()
    until = time.monotonic() + RENAME_WAIT
    while not place.exists():
        waiting = [work for work in _workplaces(place) if _old(work, place).exists()]
        if not waiting:
            return
        if _in_use(waiting[0]) and time.monotonic() < until:
            time.sleep(0.01)
            continue
        old = _old(waiting[0], place)
        try:
            os.rename(old, place)  # noqa: PTH104
            _sync(place.parent)
        except OSError as error:
            if place.exists():  # another reader was first, or the writer is alive
                return
            raise InputError(
                f"{path} was being replaced when the writer died; the old folder is {old} and "
                f"cannot be put back: {error.strerror}; rename it"
            ) from error


def _workplaces(place: Path) -> list[Path]:
    """Return the workplaces of `place`, which are beside it."""
    ours = re.compile(rf"\.{re.escape(place.name)}\.[a-z0-9_]{{8}}\.tmp")
    with suppress(OSError):
        return [entry for entry in place.parent.iterdir() if ours.fullmatch(entry.name)]
    return []


def _locked_folder(place: Path) -> tuple[Path, int]:
    """Make a workplace, and return it with the descriptor that holds its lock."""
    while True:
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".tmp", dir=place.parent))
        with suppress(FileNotFoundError):
            lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # on a file system without locks no workplace is removed
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if work.exists():  # no other writer removed it as abandoned before the lock
                return work, lock
            os.close(lock)


def _in_use(work: Path) -> bool:
    """Return whether the writer of a workplace is alive, or may be."""
    try:
        lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    paths = os.fsencode(one), os.fsencode(other)
    if call(CURRENT_FOLDER, paths[0], CURRENT_FOLDER, paths[1], EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _rename_twice(new: Path, place: Path) -> None:
    old = _old(new.parent, place)
    os.rename(place, old)  # noqa: PTH104
    try:
        os.rename(new, place)  # noqa: PTH104
    except OSError:
        os.rename(old, place)  # noqa: PTH104
        raise


def _old(work: Path, place: Path) -> Path:
    return work / f"{place.name}.old"


def _sync_tree(path: Path) -> None:
    """Sync a file, or a folder and all that is in it, from the inside out."""
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            _sync(Path(folder, name))
        _sync(Path(folder))
    if not path.is_dir():
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems sync no folders
        if error.errno != errno.EINVAL or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
