"""The file in which an index is set aside."""

import resource
from pathlib import Path

import numpy as np
import pytest

from data_prep.errors import InputError
from service.engine.index_file import IndexContents, read_index, write_index
from service.registry.changes import Anchor


def _contents(items: int) -> IndexContents:
    packed = np.zeros((items, 4), dtype=np.uint8)
    return IndexContents(np.arange(items, dtype=np.int64), packed, Anchor(items, items, "last"))


def test_a_disk_without_room_is_told_and_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "index"
    write_index(file, _contents(10), "tokenizer", "origin")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(InputError, match="index"):
            write_index(file, _contents(10_000), "tokenizer", "origin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_index(file, "tokenizer", "origin").anchor == Anchor(10, 10, "last")
    assert list(tmp_path.iterdir()) == [file]
