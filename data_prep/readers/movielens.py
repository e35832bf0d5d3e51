"""MovieLens (Harper & Konstan 2015): ratings, titles, genres and tags, in each published layout.

* `ratings.csv`, `movies.csv`, `tags.csv`: 20M, 25M, 32M, latest and latest-small
* `ratings.dat`, `movies.dat`, `tags.dat` with `::` between fields: 1M and 10M
* `u.data`, `u.item`: 100K
* `*.inter`, `*.item` with typed headers: RecBole's atomic files

A file may also be gzipped. Ratings are read block by block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from data_prep.errors import InputError
from data_prep.readers.csv_files import read_csv
from data_prep.readers.delimited import read_blocks
from data_prep.readers.published import open_published, published_file
from data_prep.sequences import in_time_order
from data_prep.tables import ITEMS

__all__ = ["MovieLens", "movielens_files", "read_movielens"]

YEAR = r"\((\d{4})\)\s*$"
NO_GENRES = "(no genres listed)"
# The genres of 100K, in the order of the flags of u.item (u.genre).
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
U_ITEM = ("id", "title", "released", "video", "url", *GENRES)
TAGS_SHOWN = 20  # tags of a movie in its description, the most frequent first
RATING = ("user_id", "item_id", "rating", "timestamp")


@dataclass(frozen=True)
class MovieLens:
    """The data set as tables.

    Attributes:
        layout: the name of the file of ratings.
        interactions: user_id, item_id, timestamp, event and rating, in time order.
        items: the movies: title as published, categories (the genres), description (the most
            frequent tags), year.
        files: the files that were read.
    """

    layout: str
    interactions: pl.DataFrame
    items: pl.DataFrame
    files: tuple[Path, ...]


def read_movielens(folder: Path, least_rating: float = 0.0) -> MovieLens:
    """Read a data set of MovieLens.

    Args:
        folder: with the files of one layout.
        least_rating: lower ratings are left out.

    Raises:
        InputError: the folder has no known layout; a file is not as published; a rating's movie is
            unknown; a movie occurs twice; or no rating is left.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder with MovieLens' files")
    for ratings_name, movies_name, tags_name, read_ratings, read_movies, read_tags in LAYOUTS:
        ratings = _found(folder, ratings_name)
        if ratings is None:
            continue
        movies, tags = _found(folder, movies_name), _found(folder, tags_name)
        if movies is None:
            raise InputError(f"{folder} has {ratings.name}, but no {movies_name}; add it")
        items = read_movies(movies)
        if tags is not None:
            items = _with_tags(items, read_tags(tags))
        events = read_ratings(ratings)
        _check(events, items, ratings, movies)
        kept = events.filter(pl.col("rating") >= least_rating)
        if kept.is_empty():
            raise InputError(
                f"{ratings} has no rating of {least_rating:g} or more; lower --least-rating"
            )
        files = tuple(path for path in (ratings, movies, tags) if path is not None)
        return MovieLens(ratings.name, in_time_order(kept), items, files)
    known = ", ".join(f"{layout[0]} and {layout[1]}" for layout in LAYOUTS)
    raise InputError(f"{folder} has no ratings of MovieLens; it needs {known}")


def movielens_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of ratings and movies in a folder, and of tags; none if it has none."""
    for ratings_name, movies_name, tags_name, *_ in LAYOUTS:
        found = [_found(folder, name) for name in (ratings_name, movies_name, tags_name)]
        if found[0] is not None and found[1] is not None:
            return tuple(path for path in found if path is not None)
    return ()


def _found(folder: Path, name: str) -> Path | None:
    """Return the file of a name, or of a name that ends so for `*…`, plain or gzipped."""
    for pattern in (name, f"{name}.gz"):
        paths = sorted(folder.glob(pattern))
        if len(paths) > 1:
            raise InputError(f"{folder} has {len(paths)} files {pattern}; leave one")
        if paths:
            return paths[0]
    return None


def _check(events: pl.DataFrame, items: pl.DataFrame, ratings: Path, movies: Path) -> None:
    repeated = items["item_id"].is_duplicated()
    if repeated.any():
        raise InputError(f"{movies}: movie {items['item_id'].filter(repeated)[0]} occurs twice")
    unknown = events.join(items, on="item_id", how="anti")
    if unknown.height:
        raise InputError(
            f"{ratings} rates movie {unknown['item_id'][0]!r}, which {movies.name} does not have "
            f"({unknown.height:,} such ratings); give the files of one release"
        )


def _ratings(
    path: Path, separator: bytes, columns: tuple[str, ...], *, header: bool
) -> pl.DataFrame:
    blocks = []
    for first, frame in read_blocks(path, columns, separator, header=header):
        named = frame.rename(dict(zip(columns, RATING, strict=True)))
        times = pl.col("timestamp").cast(pl.Float64, strict=False)
        typed = named.select(
            "user_id",
            "item_id",
            times.cast(pl.Int64, strict=False),
            event=pl.lit("rating"),
            rating=pl.col("rating").cast(pl.Float32, strict=False),
        )
        for name in ("rating", "timestamp"):
            wrong = typed[name].is_null()
            if wrong.any():
                row = int(wrong.arg_true()[0])
                raise InputError(
                    f"{path}, line {first + row}: {name} {named[name][row]!r} is not a number; "
                    f"correct the line"
                )
        blocks.append(typed)
    if not blocks:
        raise InputError(f"{path} has no ratings; download it again")
    return pl.concat(blocks)


def _csv_ratings(path: Path) -> pl.DataFrame:
    return _ratings(path, b",", ("userId", "movieId", "rating", "timestamp"), header=True)


def _dat_ratings(path: Path) -> pl.DataFrame:
    return _ratings(path, b"::", RATING, header=False)


def _tab_ratings(path: Path) -> pl.DataFrame:
    return _ratings(path, b"\t", RATING, header=False)


def _atomic_ratings(path: Path) -> pl.DataFrame:
    columns = ("user_id:token", "item_id:token", "rating:float", "timestamp:float")
    return _ratings(path, b"\t", columns, header=True)


def _csv(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    frame = read_csv(published_file(path), "utf-8", ",").frame
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}; it has {', '.join(frame.columns)}")
    return frame.select(columns)


def _csv_movies(path: Path) -> pl.DataFrame:
    frame = _csv(path, ("movieId", "title", "genres"))
    return _movies(frame["movieId"], frame["title"], frame["genres"].str.split("|"))


def _dat_movies(path: Path) -> pl.DataFrame:
    encoding = "utf-8" if _is_utf8(path) else "latin-1"
    blocks = read_blocks(path, ("id", "title", "genres"), b"::", header=False, encoding=encoding)
    frame = pl.concat([frame for _, frame in blocks])
    return _movies(frame["id"], frame["title"], frame["genres"].str.split("|"))


def _is_utf8(path: Path) -> bool:
    """Return whether a file of titles is UTF-8: 10M is, 1M is Latin-1."""
    with open_published(path) as file:
        try:
            file.read().decode()
        except UnicodeDecodeError:
            return False
    return True


def _flagged_movies(path: Path) -> pl.DataFrame:
    blocks = read_blocks(path, U_ITEM, b"|", header=False, encoding="latin-1")
    frame = pl.concat([frame for _, frame in blocks])
    genres = pl.concat_list(
        pl.when(pl.col(name) == "1").then(pl.lit(name)) for name in GENRES[1:]
    ).list.drop_nulls()
    return _movies(frame["id"], frame["title"], frame.select(genres=genres)["genres"])


def _atomic_movies(path: Path) -> pl.DataFrame:
    columns = ("item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq")
    frame = pl.concat([frame for _, frame in read_blocks(path, columns)])
    movies = _movies(frame[columns[0]], frame[columns[1]], frame[columns[3]].str.split(" "))
    return movies.with_columns(year=frame[columns[2]].cast(pl.Int32, strict=False))


def _movies(ids: pl.Series, titles: pl.Series, genres: pl.Series) -> pl.DataFrame:
    named = genres.list.eval(pl.element().filter(~pl.element().is_in(["", NO_GENRES])))
    return pl.DataFrame(
        {
            "item_id": ids,
            "title": titles,
            "brand": pl.Series([None] * len(ids), dtype=ITEMS["brand"]),
            "description": pl.Series([None] * len(ids), dtype=ITEMS["description"]),
            "categories": named,
            "year": titles.str.extract(YEAR).cast(pl.Int32),
        }
    ).with_columns(
        categories=pl.when(pl.col("categories").list.len() > 0).then("categories"),
    )


def _csv_tags(path: Path) -> pl.DataFrame:
    frame = _csv(path, ("userId", "movieId", "tag"))
    return frame.select(item_id="movieId", tag="tag")


def _dat_tags(path: Path) -> pl.DataFrame:
    blocks = read_blocks(path, ("user", "item_id", "tag", "timestamp"), b"::", header=False)
    return pl.concat([frame.select("item_id", "tag") for _, frame in blocks])


def _with_tags(items: pl.DataFrame, tags: pl.DataFrame) -> pl.DataFrame:
    """Describe each movie by its most frequent tags; equal counts in alphabetical order."""
    counted = (
        tags.with_columns(tag=pl.col("tag").str.strip_chars().str.to_lowercase())
        .filter(pl.col("tag") != "")
        .group_by("item_id", "tag")
        .len()
        .sort("item_id", "len", "tag", descending=[False, True, False])
        .group_by("item_id", maintain_order=True)
        .agg(pl.col("tag").head(TAGS_SHOWN))
        .select("item_id", tags=pl.col("tag").list.join(", "))
    )
    joined = items.join(counted, on="item_id", how="left", maintain_order="left")
    return joined.with_columns(description="tags").drop("tags")


_Reader = Callable[[Path], pl.DataFrame]
# Files of ratings, movies and tags, and what reads them.
LAYOUTS: tuple[tuple[str, str, str, _Reader, _Reader, _Reader], ...] = (
    ("ratings.csv", "movies.csv", "tags.csv", _csv_ratings, _csv_movies, _csv_tags),
    ("ratings.dat", "movies.dat", "tags.dat", _dat_ratings, _dat_movies, _dat_tags),
    ("u.data", "u.item", "tags.csv", _tab_ratings, _flagged_movies, _csv_tags),
    ("*.inter", "*.item", "tags.csv", _atomic_ratings, _atomic_movies, _csv_tags),
)
