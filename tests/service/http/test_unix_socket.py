"""Unix sockets: made, taken over from a process that died, refused where another one listens."""

import socket
from pathlib import Path

import pytest

from data_prep.errors import InputError
from service.http.unix_socket import unix_listener


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a short path: a socket's name has 107 bytes at most."""
    monkeypatch.chdir(tmp_path)
    return Path("semid.sock")


def test_a_socket_that_was_left_behind_is_replaced(path: Path) -> None:
    unix_listener(path).close()
    assert path.is_socket()
    with unix_listener(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_in_use_is_left_alone(path: Path) -> None:
    with unix_listener(path):
        before = path.stat().st_ino
        with pytest.raises(InputError, match=r"semid\.sock is in use"):
            unix_listener(path)
        assert path.stat().st_ino == before


def test_what_is_no_socket_or_cannot_be_one_is_refused(path: Path) -> None:
    path.write_text("notes")
    with pytest.raises(InputError, match="is not a socket"):
        unix_listener(path)
    assert path.read_text() == "notes"
    for wrong in (Path("none") / "semid.sock", Path("x" * 200)):
        with pytest.raises(InputError, match="cannot be used"):
            unix_listener(wrong)
