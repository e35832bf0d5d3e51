"""A file or folder that is replaced as one step, which also a power cut cannot divide.

What is new is made in a workplace beside its place, a folder `.NAME.xxxxxxxx.tmp` that its writer
holds a lock on. It is synced to the disk, exchanged with what stands there, and the folder of both
is synced. Where the system cannot exchange two folders, there are two renames, and the old folder
waits in the workplace between them: `recover` puts it back when the writer died there.
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

PATIENCE = 1.0  # seconds that a reader waits for a writer which is between two renames
CURRENT_FOLDER = -100  # AT_FDCWD of Linux
EXCHANGE = 2  # RENAME_EXCHANGE of Linux
CANNOT = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing, and sync them.

    Raises:
        OSError: one cannot be made.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        _sync(one.parent)


@contextmanager
def workplace(place: Path) -> Iterator[Path]:
    """Yield a new empty folder beside `place`, and remove it at the end with all that is in it.

    Those of writers that have died are removed first.

    Raises:
        OSError: it cannot be made.
    """
    for left in _workplaces(place):
        if not _in_use(left):
            shutil.rmtree(left, ignore_errors=True)
    work, lock = _locked_folder(place)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(lock)


def put_in_place(new: Path, place: Path) -> None:
    """Sync `new`, which lies in a `workplace`, and let it stand at `place` from one moment on.

    Raises:
        OSError: it cannot be; what stood at `place` does so still.
    """
    _sync_tree(new)
    if not place.is_dir():
        os.replace(new, place)  # noqa: PTH105 - tests watch the calls of os
    elif not _exchange(new, place):
        _rename_twice(new, place)
    _sync(place.parent)


def recover(path: Path) -> None:
    """Put back the folder at `path` where a writer died between two renames.

    Raises:
        InputError: it cannot be put back.
    """
    place = path.resolve()
    until = time.monotonic() + PATIENCE
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
            if place.exists():  # another reader was first, or its writer lives
                return
            raise InputError(
                f"{path} was being replaced when its writer died; its last copy is {old} and "
                f"cannot be put back: {error.strerror}; rename it"
            ) from error


def _workplaces(place: Path) -> list[Path]:
    """Return the workplaces beside `place` that its writers made."""
    ours = re.compile(rf"\.{re.escape(place.name)}\.[a-z0-9_]{{8}}\.tmp")
    with suppress(OSError):
        return [entry for entry in place.parent.iterdir() if ours.fullmatch(entry.name)]
    return []


def _locked_folder(place: Path) -> tuple[Path, int]:
    """Make a workplace and return it with the descriptor that holds its lock."""
    while True:
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".tmp", dir=place.parent))
        with suppress(FileNotFoundError):
            lock = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # a file system without locks; nothing is removed there
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if work.exists():  # nobody took it for one left behind before it was locked
                return work, lock
            os.close(lock)


def _in_use(work: Path) -> bool:
    """Return whether the writer that made a workplace is alive, or may be."""
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
    if number in CANNOT:
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
