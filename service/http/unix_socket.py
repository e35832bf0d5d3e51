"""A Unix socket to listen on, for a proxy on the same machine."""

import socket
import stat
from contextlib import ExitStack
from pathlib import Path

from data_prep.errors import InputError

__all__ = ["unix_listener"]

MOST_WAITING = 2048


def unix_listener(path: Path) -> socket.socket:
    """Listen on a Unix socket; replace one that an ended process left behind.

    The folder's permissions and the umask decide who may connect.

    Raises:
        InputError: the path cannot be used, or a process listens there.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            _clear(path)
            listener.bind(str(path))
            listener.listen(MOST_WAITING)
        except OSError as error:
            raise InputError(
                f"--uds {path} cannot be used: {error.strerror or error}; give a short path in a "
                f"folder that can be written"
            ) from error
        stack.pop_all()
    return listener


def _clear(path: Path) -> None:
    """Delete a socket on which no process listens.

    Raises:
        InputError: the path is in use, or is not a socket.
    """
    if not path.exists():
        return
    if not _is_left(path):
        raise InputError(f"--uds {path} is in use, or is not a socket; give another path")
    path.unlink()


def _is_left(path: Path) -> bool:
    """Return whether a file is a socket on which no process listens."""
    if not stat.S_ISSOCK(path.stat().st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
    return False
