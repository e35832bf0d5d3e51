"""Folders whose writer dies at any moment, and the order in which the disk is told."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep.errors import InputError
from data_prep.storage import durable
from data_prep.storage.durable import put_in_place, recover, workplace
from data_prep.storage.files import check_writable, existing_file, written_aside

# Replaces a folder, and dies as if the power went before its n-th call that changes the disk.
WRITER = """
import os, sys
from pathlib import Path
from data_prep.storage import durable
from data_prep.storage.files import written_aside

left = int(sys.argv[2])

def watched(call):
    def counted(*given, **named):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return call(*given, **named)
    return counted

for name in ("rename", "replace", "fsync", "rmdir", "unlink"):
    setattr(os, name, watched(getattr(os, name)))
durable._exchange = watched(durable._exchange) if sys.argv[3] == "exchange" else lambda *_: False
with written_aside(Path(sys.argv[1]), ("a", "b")) as aside:
    for name in ("a", "b"):
        (aside / name).write_text("new")
"""


def _write(place: Path, said: str) -> None:
    with written_aside(place, ("a", "b")) as aside:
        for name in ("a", "b"):
            (aside / name).write_text(said)


def _read(place: Path) -> set[str]:
    assert {path.name for path in place.iterdir()} == {"a", "b"}
    return {path.read_text() for path in place.iterdir()}


def _skip_where_folders_cannot_be_exchanged(place: Path) -> None:
    one, other = place / "one", place / "other"
    one.mkdir()
    other.mkdir()
    able = durable._exchange(one, other)
    one.rmdir()
    other.rmdir()
    if not able:
        pytest.skip("the system cannot exchange two folders in one step")


@pytest.mark.parametrize("way", ["exchange", "renames"])
def test_a_folder_is_whole_after_a_writer_died_at_any_moment(way: str, tmp_path: Path) -> None:
    if way == "exchange":
        _skip_where_folders_cannot_be_exchanged(tmp_path)
    place = tmp_path / "folder"
    seen: list[tuple[bool, str]] = []
    for moment in range(100):
        _write(place, "old")
        ended = subprocess.run(
            [sys.executable, "-c", WRITER, place, str(moment), way], check=False, timeout=60
        )
        absent = not place.exists()
        recover(place)
        found = _read(place)
        assert len(found) == 1
        seen.append((absent, found.pop()))
        _write(place, "next")
        assert _read(place) == {"next"}
        assert list(tmp_path.iterdir()) == [place]
        if not ended.returncode:
            break
        assert ended.returncode == 9
    said = [word for _, word in seen]
    assert said == sorted(said, reverse=True)  # old until one moment, new from then on
    assert set(said) == {"old", "new"}
    assert any(absent for absent, _ in seen) == (way == "renames")


def test_files_and_folder_are_synced_before_they_appear_and_the_parent_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _skip_where_folders_cannot_be_exchanged(tmp_path)
    calls: list[tuple[str, int]] = []

    def watch(module: object, name: str) -> None:
        call = getattr(module, name)

        def watched(first: int | Path, *more: object) -> object:
            place = os.fstat(first) if isinstance(first, int) else first.stat()
            calls.append((name, place.st_ino))
            return call(first, *more)

        monkeypatch.setattr(module, name, watched)

    for module, name in (
        (os, "fsync"), (os, "rename"), (os, "replace"), (durable, "_exchange")
    ):  # fmt: skip
        watch(module, name)

    def order(place: Path) -> list[tuple[str, str]]:
        told, number = calls.copy(), place.stat().st_ino
        calls.clear()
        inside = [path.stat().st_ino for path in place.iterdir()] if place.is_dir() else []
        assert sorted(told[: len(inside)]) == sorted(("fsync", one) for one in inside)
        return [(call, "this" if one == number else "parent") for call, one in told[len(inside) :]]

    folder, file = tmp_path / "folder", tmp_path / "file"
    synced = [("fsync", "this")]
    appears = [("fsync", "parent")]
    _write(folder, "first")
    assert order(folder) == [*synced, ("replace", "this"), *appears]
    _write(folder, "second")
    assert order(folder) == [*synced, ("_exchange", "this"), *appears]
    with written_aside(file) as aside:
        aside.write_text("whole")
    assert order(file) == [*synced, ("replace", "this"), *appears]
    monkeypatch.setattr(durable, "_exchange", lambda *_: False)
    _write(folder, "third")
    assert order(folder) == [
        *synced, ("rename", "parent"), ("rename", "this"), *appears
    ]  # fmt: skip


def test_parents_that_are_made_are_synced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    check_writable(tmp_path / "one" / "two" / "file")
    assert synced == {tmp_path.stat().st_ino, (tmp_path / "one").stat().st_ino}


def _left_between_renames(place: Path) -> Path:
    """Leave the state of a writer that died between its two renames; return its workplace."""
    work = place.with_name(f".{place.name}.abcd_123.tmp")
    work.mkdir()
    place.rename(work / f"{place.name}.old")
    return work


def test_readers_and_writers_take_the_old_folder_back(tmp_path: Path) -> None:
    place = tmp_path / "folder"
    _write(place, "old")
    _left_between_renames(place)
    assert existing_file(place / "a").read_text() == "old"
    for path in place.parent.glob(".*"):
        path.rmdir()
    _left_between_renames(place)
    check_writable(place, ("a", "b"))
    assert _read(place) == {"old"}


def test_what_a_living_writer_makes_is_left_to_it(tmp_path: Path) -> None:
    place, other = tmp_path / "a", tmp_path / "a.b"
    with workplace(place) as work, workplace(other) as another:
        for _ in range(2):
            _write(place, "beside")
        assert sorted(tmp_path.glob(".*")) == sorted([work, another])
        (work / "new").mkdir()
        put_in_place(work / "new", place)
        assert not any(place.iterdir())
    assert list(tmp_path.iterdir()) == [place]


def test_a_reader_waits_for_a_living_writer_between_its_renames(tmp_path: Path) -> None:
    place = tmp_path / "folder"
    _write(place, "old")
    with workplace(place) as work:
        place.rename(work / "folder.old")
        began = time.monotonic()
        recover(place)
        assert time.monotonic() - began >= durable.RENAME_WAIT
    assert _read(place) == {"old"}


def test_an_old_folder_that_cannot_be_put_back_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "folder"
    _write(place, "old")
    work = _left_between_renames(place)

    def full(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(InputError, match=r"folder\.old and cannot be put back: Read-only"):
        recover(place)
    assert (work / "folder.old" / "a").exists()
