"""MovieLens in each layout; the real samples against a plain parse."""

import csv
import gzip
from pathlib import Path

import pytest

from data_prep.errors import InputError
from data_prep.readers.movielens import read_movielens


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_bytes(text.encode("latin-1"))
    return folder


@pytest.mark.parametrize("release", ["ml-latest-small", "ml-100k"])
def test_the_real_samples_row_by_row(real_data: Path, release: str) -> None:
    folder = real_data / "movielens" / release
    found = read_movielens(folder)
    with gzip.open(found.files[0], "rt") as file:
        rows = list(csv.reader(file, delimiter="\t" if release == "ml-100k" else ","))[1:]
    plain = [(user, item, int(float(time)), float(stars)) for user, item, stars, time in rows]
    columns = found.interactions.select("user_id", "item_id", "timestamp", "rating")
    assert sorted(columns.rows()) == sorted(plain)
    for _, times in found.interactions.group_by("user_id").agg("timestamp").iter_rows():
        assert times == sorted(times)
    with gzip.open(found.files[1], "rt") as file:
        movies = list(csv.reader(file, delimiter="\t" if release == "ml-100k" else ","))[1:]
    assert found.items["item_id"].to_list() == [movie[0] for movie in movies]
    assert found.items["title"].to_list() == [movie[1] for movie in movies]
    apart = " " if release == "ml-100k" else "|"
    genres = [movie[-1].split(apart) for movie in movies]
    plain_genres = [each if each not in (["(no genres listed)"], [""]) else None for each in genres]
    assert found.items["categories"].to_list() == plain_genres


def test_every_layout_gives_the_same_tables(tmp_path: Path) -> None:
    """20M and later; 1M, whose titles are Latin-1; 100K, with flags for genres."""
    later = _write(
        tmp_path / "later",
        ratings__csv="userId,movieId,rating,timestamp\n1,7,4.0,20\n1,9,3.5,10\n",
        movies__csv='movieId,title,genres\n7,"Amelie, Part 2 (2001)",Comedy|Drama\n'
        "9,Nikita (1990),(no genres listed)\n",
        tags__csv="userId,movieId,tag,timestamp\n1,7,Paris,1\n2,7,cafe,1\n3,7,paris ,2\n",
    )
    million = _write(
        tmp_path / "million",
        ratings__dat="1::7::4.0::20\n1::9::3.5::10\n",
        movies__dat="7::Amélie, Part 2 (2001)::Comedy|Drama\n9::Nikita (1990)::\n",
    )
    flags = ["0"] * 19
    both = flags.copy()
    both[5] = both[8] = "1"
    oldest = _write(
        tmp_path / "oldest",
        u__data="1\t7\t4.0\t20\n1\t9\t3.5\t10\n",
        u__item="\n".join(
            "|".join([number, title, "01-Jan-2001", "", "http://x", *genres])
            for number, title, genres in (
                ("7", "Amélie, Part 2 (2001)", both),
                ("9", "Nikita (1990)", flags),
            )
        ),
    )
    first, second, third = map(read_movielens, (later, million, oldest))
    for each in (first, second, third):
        assert each.interactions["item_id"].to_list() == ["9", "7"]
        assert each.interactions["rating"].to_list() == [3.5, 4.0]
        assert each.items["categories"].to_list() == [["Comedy", "Drama"], None]
        assert each.items["year"].to_list() == [2001, 1990]
    assert second.items["title"][0] == third.items["title"][0] == "Amélie, Part 2 (2001)"
    assert first.items["description"].to_list() == ["paris, cafe", None]
    assert read_movielens(later, 4).interactions["item_id"].to_list() == ["7"]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    movies = "movieId,title,genres\n7,A (2001),Drama\n"
    head = "userId,movieId,rating,timestamp\n"
    cases = {
        "no ratings of MovieLens": {"links__csv": "a\n"},
        "but no movies.csv": {"ratings__csv": f"{head}1,7,4,20\n"},
        "line 3: has 3 fields, not 4": {
            "ratings__csv": f"{head}1,7,4,20\n1,7,4\n", "movies__csv": movies,
        },
        "line 2: rating 'good' is not a number": {
            "ratings__csv": f"{head}1,7,good,20\n", "movies__csv": movies,
        },
        "line 2: timestamp '' is not a number": {
            "ratings__csv": f"{head}1,7,4,\n", "movies__csv": movies,
        },
        "line 1: no column 'userId'": {
            "ratings__csv": "user,movieId,rating,timestamp\n1,7,4,20\n", "movies__csv": movies,
        },
        "rates movie '8', which": {"ratings__csv": f"{head}1,8,4,20\n", "movies__csv": movies},
        "movie 7 occurs twice": {
            "ratings__csv": f"{head}1,7,4,20\n", "movies__csv": f"{movies}7,B,Drama\n",
        },
        "no column 'genres'": {
            "ratings__csv": f"{head}1,7,4,20\n", "movies__csv": "movieId,title\n7,A\n",
        },
        "is a folder; a file is needed|is not a folder": {},
    }  # fmt: skip
    for number, (said, files) in enumerate(cases.items()):
        folder = _write(tmp_path / str(number), **files) if files else tmp_path / "none"
        with pytest.raises(InputError, match=said):
            read_movielens(folder)
    with pytest.raises(InputError, match="no rating of 5 or more"):
        read_movielens(
            _write(tmp_path / "low", ratings__csv=f"{head}1,7,4,20\n", movies__csv=movies), 5
        )
