from pathlib import Path

import pytest

from data_prep.errors import InputError
from data_prep.storage.files import check_writable, written_aside


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")

    def fail() -> None:
        with written_aside(target) as aside:
            aside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_of_our_files_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for name in ("a", "b"):
        with written_aside(target, ("a", "b")) as aside:
            (aside / name).touch()
    assert [path.name for path in target.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_linked_folder_is_replaced_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with written_aside(tmp_path / "link", ("a",)) as aside:
        (aside / "a").touch()
    assert (tmp_path / "real" / "a").exists()
    assert (tmp_path / "link").is_symlink()


def test_nothing_that_another_wrote_is_removed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").write_text("work")
    (tmp_path / "file").touch()
    for path, folder_of, said in (
        (tmp_path / "folder", ("a",), "holds 'precious'"),
        (tmp_path / "folder", (), "is a folder"),
        (tmp_path / "file", ("a",), "is a file"),
    ):
        for attempt in (check_writable, lambda *given: written_aside(*given).__enter__()):
            with pytest.raises(InputError, match=said):
                attempt(path, folder_of)
    assert (tmp_path / "folder" / "precious").read_text() == "work"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write .*file/out"):
        check_writable(tmp_path / "file" / "out")
