"""JDsearch: the authors' samples against a plain parse, and broken rows."""

import itertools
import tarfile
from pathlib import Path

import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.readers.delimited import read_blocks
from data_prep.readers.jdsearch import PRODUCTS, JdsearchCounts, prepare_jdsearch
from tests.generated.jdsearch import write_jdsearch

TERM = "\x18"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    return write_jdsearch(tmp_path / "raw", items=400, users=20)


def _prepared(files: tuple[Path, Path], out: Path) -> JdsearchCounts:
    out.mkdir()
    return prepare_jdsearch(*files, out)


def _rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().split("\n")[1:] if line]


def _check(files: tuple[Path, Path], out: Path, counts: JdsearchCounts) -> None:
    """Compare all tables row by row with a plain parse of the files."""
    items = pl.read_parquet(out / "items.parquet")
    products = _rows(files[1])
    assert items["item_id"].to_list() == [row[0] for row in products]
    assert items["title"].to_list() == [row[1].replace(TERM, " ") for row in products]
    assert items["brand"].to_list() == [row[3].replace(TERM, " ") or None for row in products]
    named = [[row[n].replace(TERM, " ") for n in (5, 7, 9, 11)] for row in products]
    assert items["categories"].to_list() == named
    assert items["shop_id"].to_list() == [row[12] for row in products]
    events, shown, sequences = [], [], {}
    known = {row[0] for row in products}
    for number, row in enumerate(_rows(files[0]), start=1):
        user, time = str(number), 0
        history, queries = row[4].split("_"), row[3].split("_")
        steps = list(map(int, row[6].split("_")))
        for item, query, kind, step in zip(
            history, queries, row[5].split("_"), steps[:-1], strict=True
        ):
            time += step
            asked = None if query == "-1" else query.replace(TERM, " ")
            events.append((user, item, time, kind, asked))
        for item, label in zip(row[1].split("_"), row[2].split("_"), strict=True):
            shown.append((user, row[0].replace(TERM, " "), user, item, float(label), "test"))
        found = [item for item in history if item in known]
        if len(found) >= 5:
            sequences[user] = (found[:-2], found[-2], found[-1])
    assert pl.read_parquet(out / "interactions.parquet").rows() == events
    assert pl.read_parquet(out / "queries.parquet").rows() == shown
    kept = {row[0]: row[1:] for row in pl.read_parquet(out / "sequences.parquet").rows()}
    assert kept == sequences
    assert counts.interactions == len(events)
    assert counts.shown == len(shown)
    assert counts.without_query == sum(event[4] is None for event in events)
    assert counts.without_metadata == sum(event[1] not in known for event in events)


def test_the_authors_samples_row_by_row(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "jdsearch"
    files = folder / "user_behavior_data_sample.txt", folder / "product_meta_data_sample.txt"
    counts = _prepared(files, tmp_path / "out")
    _check(files, tmp_path / "out", counts)
    assert (counts.users, counts.items) == (3, 409)
    assert any("3 of 173,831 published users" in line for line in counts.told())


def test_generated_files_row_by_row(made: tuple[Path, Path], tmp_path: Path) -> None:
    _check(made, tmp_path / "out", _prepared(made, tmp_path / "out"))


def test_blocks_do_not_change_what_is_read(made: tuple[Path, Path]) -> None:
    whole = pl.concat([frame for _, frame in read_blocks(made[1], PRODUCTS)])
    parts = list(read_blocks(made[1], PRODUCTS, block=1000))
    assert len(parts) > 3
    assert pl.concat([frame for _, frame in parts]).equals(whole)
    assert next(first for first, _ in parts) == 2
    for (first, frame), (following, _) in itertools.pairwise(parts):
        assert following == first + frame.height


def _broken(path: Path, line: int, before: str, after: str) -> Path:
    lines = path.read_text().split("\n")
    assert before in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(before, after, 1)
    broken = path.with_name(f"broken-{path.name}")
    broken.write_text("\n".join(lines))
    return broken


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("\t", " ", r"line 4: has 6 fields, not 7"),
        ("_0.0", "", r"line 4: candidate_label_list has 19 entries and candidate_wid_list 20"),
        ("_0.0", "_4.0", r"line 4: candidate_label_list holds '4.0'"),
        ("_CLICK", "_LOOK", r"line 4: history_type_list holds 'LOOK'"),
        ("\t0_", "\tsoon_", r"line 4: history_time_list has a value that is not in whole seconds"),
        ("\t0_", "\t-1_", r"line 4: history_time_list has a value that is not in whole seconds"),
        ("\t0_", "\t0_5_", r"line 4: history_time_list has \d+ entries and history_wid_list"),
    ],
)
def test_broken_rows_are_named(
    made: tuple[Path, Path], tmp_path: Path, before: str, after: str, said: str
) -> None:
    broken = _broken(made[0], 4, before, after)
    with pytest.raises(InputError, match=said):
        _prepared((broken, made[1]), tmp_path / "out")


def test_files_that_are_not_the_data_are_named(made: tuple[Path, Path], tmp_path: Path) -> None:
    archive = tmp_path / "JDsearch.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(made[0], made[0].name)
    with pytest.raises(InputError, match=r"is a tar archive; extract it"):
        _prepared((archive, made[1]), tmp_path / "a")
    with pytest.raises(InputError, match="line 1: no column 'wid'"):
        _prepared((made[0], made[0]), tmp_path / "b")
    with pytest.raises(InputError, match="line 1: no column 'query'"):
        _prepared((made[1], made[1]), tmp_path / "c")
    lines = made[1].read_text().split("\n")
    made[1].write_text("\n".join([*lines[:-1], lines[3], ""]))
    with pytest.raises(InputError, match=rf"product 1002 occurs twice, again in line {len(lines)}"):
        _prepared(made, tmp_path / "d")
    made[1].write_text("\n".join(lines).replace("\n1003\t", "\n\t"))
    with pytest.raises(InputError, match="line 5: no wid"):
        _prepared(made, tmp_path / "e")
    made[1].write_bytes("\n".join(lines).encode().replace(b"\n1003\t", b"\n\xff\t"))
    with pytest.raises(InputError, match="line 5: not UTF-8"):
        _prepared(made, tmp_path / "f")
    made[1].write_text("\n".join(lines)[:-9])
    with pytest.raises(InputError, match=rf"line {len(lines) - 1}: has \d+ fields"):
        _prepared(made, tmp_path / "g")
