"""JDsearch (Liu et al., SIGIR 2023): real queries, shown products and whole histories, anonymised.

Both files of `JDsearch.tar.gz` have a header and TAB-separated fields. The elements of a list are
joined by `_`, the term ids of a text by the byte 0x18. Here terms are joined by spaces. The files
are read block by block.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from data_prep.errors import InputError
from data_prep.readers.delimited import read_blocks
from data_prep.sequences import LEAST, leave_one_out

__all__ = ["ACTIONS", "JdsearchCounts", "prepare_jdsearch"]

TERM, LIST, NO_QUERY = "\x18", "_", "-1"
LEVELS = range(1, 5)
CATEGORIES = [f"cate_{part}_{level}" for level in LEVELS for part in ("id", "name")]
PRODUCTS = ("wid", "name", "brand_id", "brand_name", *CATEGORIES, "shop_id")
SHOWN = ("candidate_wid_list", "candidate_label_list")
HISTORY = ("history_qry_list", "history_wid_list", "history_type_list", "history_time_list")
BEHAVIOUR = ("query", *SHOWN, *HISTORY)
ACTIONS = ("CLICK", "CART", "ORD", "FLW")
LABELS = ("0.0", "1.0", "2.0", "3.0")  # none, click, cart, order
# Users, products and interactions as published.
PUBLISHED = (173_831, 12_872_636, 26_667_260)


@dataclass(frozen=True)
class JdsearchCounts:
    """What was read.

    Attributes:
        items: products with metadata, which are the catalogue.
        interactions: of the histories.
        without_metadata: interactions whose item has no metadata; sequences leave them out.
        short_users: users with fewer events of known items than a sequence needs.
        sequences: the other users.
        shown: products that were shown for the users' queries, with labels.
        without_choice: users that chose none of the products that were shown; not measured.
        without_query: interactions that no query led to.
    """

    users: int
    items: int
    interactions: int
    without_metadata: int
    short_users: int
    sequences: int
    shown: int
    without_choice: int
    without_query: int

    def told(self) -> list[str]:
        """Return a line for each thing that a user should know."""
        lines = []
        if (self.users, self.interactions) != (PUBLISHED[0], PUBLISHED[2]):
            lines.append(
                f"the file has {self.users:,} of {PUBLISHED[0]:,} published users and "
                f"{self.interactions:,} of {PUBLISHED[2]:,} interactions"
            )
        if self.without_metadata:
            lines.append(
                f"{self.without_metadata:,} interactions have items without metadata; sequences "
                f"leave them out"
            )
        if self.short_users:
            lines.append(f"{self.short_users:,} users have too few events for a sequence")
        if self.without_choice:
            lines.append(f"{self.without_choice:,} users chose no product that was shown to them")
        return lines

    def plain(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return asdict(self)


def prepare_jdsearch(
    behaviour: Path, products: Path, folder: Path, least: int = 5
) -> JdsearchCounts:
    """Write items, interactions, sequences and queries (the shown products) to a folder.

    A user is a row of the behaviour file, named by its number from 1. Times are seconds since the
    user's first action.

    Args:
        behaviour: user_behavior_data.txt, or release_data.txt of the older release.
        products: product_meta_data.txt, or product_data.txt.
        least: fewest events of a user with a sequence; at least 3.

    Raises:
        InputError: a file is not as published; the message names the line.
    """
    items = _write(_items(products), folder, "items")
    ids = items.select("item_id").collect()
    repeated = ids["item_id"].is_duplicated()
    if repeated.any():
        row = repeated.arg_true()[1]
        raise InputError(
            f"{products}: product {ids['item_id'][row]} occurs twice, again in line {row + 2}; "
            f"keep one line a product"
        )
    blocks = _behaviour(behaviour)
    parts = folder / "parts"
    parts.mkdir()
    users = 0
    for number, frame in enumerate(blocks):
        users += frame.height
        _interactions(frame).write_parquet(parts / f"interactions-{number:06}.parquet")
        _shown(frame).write_parquet(parts / f"queries-{number:06}.parquet")
    if not users:
        raise InputError(f"{behaviour} has no users; download it again")
    interactions = _joined(folder, "interactions")
    queries = _joined(folder, "queries")
    parts.rmdir()
    known = (
        interactions.select("user_id", "item_id")
        .join(items.select("item_id"), on="item_id", how="semi", maintain_order="left")
        .collect(engine="streaming")
    )
    enough = known.filter(pl.len().over("user_id") >= max(least, LEAST))
    sequences = _sequences(enough)
    sequences.write_parquet(folder / "sequences.parquet")
    totals = interactions.select(pl.len(), pl.col("query").is_null().sum()).collect().row(0)
    chosen = queries.group_by("user_id").agg(pl.col("label").max()).collect(engine="streaming")
    return JdsearchCounts(
        users=users,
        items=ids.height,
        interactions=totals[0],
        without_metadata=totals[0] - known.height,
        short_users=users - sequences.height,
        sequences=sequences.height,
        shown=queries.select(pl.len()).collect().item(),
        without_choice=chosen.filter(pl.col("label") <= 0).height,
        without_query=totals[1],
    )


def _sequences(known: pl.DataFrame) -> pl.DataFrame:
    if known.is_empty():
        return known.select(
            "user_id", history=pl.concat_list("item_id"), validation="item_id", test="item_id"
        )
    return leave_one_out(known)


def _items(path: Path) -> Iterator[pl.DataFrame]:
    for first, frame in read_blocks(path, PRODUCTS):
        empty = frame["wid"].str.strip_chars() == ""
        if empty.any():
            raise InputError(
                f"{path}, line {first + empty.arg_true()[0]}: no wid; correct the line"
            )
        yield frame.select(
            item_id="wid",
            title=_terms(pl.col("name")),
            brand=_terms(pl.col("brand_name")),
            categories=pl.concat_list(
                _terms(pl.col(f"cate_name_{n}")) for n in LEVELS
            ).list.drop_nulls(),
            brand_id="brand_id",
            category_ids=pl.concat_list(f"cate_id_{n}" for n in LEVELS),
            shop_id="shop_id",
        )


def _terms(column: pl.Expr) -> pl.Expr:
    """Return term ids joined by spaces; null where there is none."""
    joined = column.str.replace_all(TERM, " ", literal=True)
    return pl.when(joined == "").then(None).otherwise(joined)


def _behaviour(path: Path) -> Iterator[pl.DataFrame]:
    """Yield users with their lists, which are checked."""
    before = 0
    for first, frame in read_blocks(path, BEHAVIOUR):
        lists = frame.with_columns(
            pl.when(pl.col(name) == "")
            .then(pl.lit([], pl.List(pl.String)))
            .otherwise(pl.col(name).str.split(LIST))
            .alias(name)
            for name in (*SHOWN, *HISTORY)
        )
        _check_lists(lists, path, first)
        names = pl.int_range(before + 1, before + lists.height + 1).cast(pl.String)
        yield lists.with_columns(names.alias("user_id"))
        before += lists.height


def _check_lists(frame: pl.DataFrame, path: Path, first: int) -> None:
    def length(name: str) -> pl.Series:
        return frame[name].list.len().cast(pl.Int64)

    for name, like, more in (
        (SHOWN[1], SHOWN[0], 0),
        (HISTORY[0], HISTORY[1], 0),
        (HISTORY[2], HISTORY[1], 0),
        (HISTORY[3], HISTORY[1], 1),
    ):
        wrong = length(name) != length(like) + more
        if wrong.any():
            row = int(wrong.arg_true()[0])
            raise InputError(
                f"{path}, line {first + row}: {name} has {length(name)[row]} entries and {like} "
                f"{length(like)[row]}{', one less is needed' if more else ''}; correct the line"
            )
    for name, known in ((SHOWN[1], LABELS), (HISTORY[2], ACTIONS)):
        wrong = ~frame[name].list.eval(pl.element().is_in(known)).list.all()
        if wrong.any():
            row = int(wrong.arg_true()[0])
            odd = next(value for value in frame[name][row] if value not in known)
            raise InputError(
                f"{path}, line {first + row}: {name} holds {odd!r}; known are {', '.join(known)}"
            )
    times = frame[HISTORY[3]].list.eval(pl.element().cast(pl.Int64, strict=False))
    wrong = times.list.eval(pl.element().is_null() | (pl.element() < 0)).list.any()
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise InputError(
            f"{path}, line {first + row}: {HISTORY[3]} has a value that is not in whole seconds; "
            f"correct the line"
        )


def _interactions(frame: pl.DataFrame) -> pl.DataFrame:
    times = pl.col("history_time_list").list.eval(pl.element().cast(pl.Int64).cum_sum())
    return (
        frame.select(
            "user_id",
            item_id="history_wid_list",
            timestamp=times.list.head(pl.col("history_wid_list").list.len()),
            event="history_type_list",
            query="history_qry_list",
        )
        .filter(pl.col("item_id").list.len() > 0)
        .explode("item_id", "timestamp", "event", "query")
        .with_columns(query=pl.when(pl.col("query") != NO_QUERY).then(_terms(pl.col("query"))))
    )


def _shown(frame: pl.DataFrame) -> pl.DataFrame:
    return (
        frame.select(
            query_id="user_id",
            query=_terms(pl.col("query")),
            user_id="user_id",
            item_id="candidate_wid_list",
            label="candidate_label_list",
        )
        .filter(pl.col("item_id").list.len() > 0)
        .explode("item_id", "label")
        .with_columns(pl.col("label").cast(pl.Float32), split=pl.lit("test"))
    )


def _write(frames: Iterator[pl.DataFrame], folder: Path, name: str) -> pl.LazyFrame:
    """Write tables that come one by one to one file, and return it unread."""
    parts = folder / "parts"
    parts.mkdir()
    for number, frame in enumerate(frames):
        frame.write_parquet(parts / f"{name}-{number:06}.parquet")
    if not any(parts.iterdir()):
        raise InputError("the file of products has no products; download it again")
    written = _joined(folder, name)
    parts.rmdir()
    return written


def _joined(folder: Path, name: str) -> pl.LazyFrame:
    """Join the parts of a table to one file, and remove them."""
    parts = sorted((folder / "parts").glob(f"{name}-*.parquet"))
    whole = folder / f"{name}.parquet"
    pl.scan_parquet(parts).sink_parquet(whole)
    for part in parts:
        part.unlink()
    return pl.scan_parquet(whole)
