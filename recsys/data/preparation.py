"""Checked tables → the arrays that recommenders train on. Needs polars; the models do not."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.sequences import LEAST, in_time_order
from data_prep.tables import check_interactions, check_items, check_vectors, join_vectors
from data_prep.values.columns import (
    Source,
    id_column,
    id_list_column,
    named_rows,
    with_code_lists,
)
from data_prep.values.times import TIMESTAMP
from recsys.data.dataset import SequenceDataset

__all__ = ["Dropped", "prepare_dataset", "prepare_reported"]


@dataclass(frozen=True)
class Dropped:
    """Counts of the users and events that a data set leaves out, by reason.

    Attributes:
        short_users, short_events: users with fewer than three events, and their events.
        unknown_events: events whose item is not in the catalogue.
        left_users, left_events: users with fewer than three events once unknown events are left
            out, and their remaining events.
    """

    short_users: int
    short_events: int
    unknown_events: int
    left_users: int
    left_events: int

    def told(self) -> list[str]:
        """Return a line for each reason that applies."""
        lines = []
        if self.short_users:
            lines.append(
                f"left out: {self.short_users:,} users with fewer than {LEAST} events, and their "
                f"{self.short_events:,} events"
            )
        if self.unknown_events:
            lines.append(
                f"left out: {self.unknown_events:,} events whose item is not in the catalogue"
            )
        if self.left_users:
            lines.append(
                f"left out: {self.left_users:,} users that keep fewer than {LEAST} events without "
                f"those, and their {self.left_events:,} events"
            )
        return lines


def prepare_dataset(
    events: pl.DataFrame,
    items: pl.DataFrame | None,
    ids: pl.DataFrame | None = None,
    vectors: pl.DataFrame | None = None,
    codebooks: NDArray[np.float32] | None = None,
    codebook_size: int = 0,
    most_unknown: float = 0.0,
    source: str = "",
) -> SequenceDataset:
    """Prepare a data set like `prepare_reported`, but return no counts.

    Raises:
        InputError: as `prepare_reported`.
    """
    return prepare_reported(
        events, items, ids, vectors, codebooks, codebook_size, most_unknown, source
    )[0]


def prepare_reported(
    events: pl.DataFrame,
    items: pl.DataFrame | None,
    ids: pl.DataFrame | None = None,
    vectors: pl.DataFrame | None = None,
    codebooks: NDArray[np.float32] | None = None,
    codebook_size: int = 0,
    most_unknown: float = 0.0,
    source: str = "",
) -> tuple[SequenceDataset, Dropped]:
    """Give users and items numbers, and join each item's codes and content vector.

    Args:
        events: sequences (`user_id`, `history`, `validation`, `test`) from `leave_one_out`, or
            interactions (`user_id`, `item_id`, and `timestamp` unless the rows are in order), which
            are then ordered and split in the same way.
        items: a table with the catalogue's `item_id`; its order gives the items' numbers. None for
            the items of `ids`, or else those of the events.
        ids: `item_id`, `codes`, `suffix` and `tokenizer`, as semid tokenize writes them.
        vectors: `item_id` and `vector`.
        codebooks: (L, K, d), the codewords, from `tokenizer.pipeline.Pipeline`.
        codebook_size: K; 0 for the highest code plus 1.
        most_unknown: largest allowed share of events with an item outside the catalogue. These
            events are left out, and so are users that then have fewer than three.

    Raises:
        InputError: more events have unknown items; no user is left; an item of the catalogue has no
            codes or vector; the codes have several tokenizers or lengths; or a column or value is
            missing.
    """
    sequences = _sequences(events)
    if items is None:
        long = sequences.filter(pl.col("items").list.len() >= LEAST)
        seen = long.select(item_id=pl.col("items").explode()).unique(maintain_order=True)
        items = seen if ids is None else ids
    if "item_id" not in items.columns:
        raise InputError(f"items: no column 'item_id'; it has {', '.join(items.columns)}")
    catalogue = check_items(items.select("item_id"), "items")
    numbered = catalogue.with_row_index("number")
    flat = (
        sequences.with_row_index("user")
        .explode("items", empty_as_null=False, keep_nulls=False)
        .join(numbered, left_on="items", right_on="item_id", how="left", maintain_order="left")
    )
    long = flat.filter(pl.len().over("user") >= LEAST)
    known = _without_unknown(long, most_unknown)
    kept = known.filter(pl.len().over("user") >= LEAST)
    if kept.is_empty():
        raise InputError("no user has the three interactions that training and two tests need")
    dropped = Dropped(
        sequences.height - long["user"].n_unique(),
        flat.height - long.height,
        long.height - known.height,
        long["user"].n_unique() - kept["user"].n_unique(),
        known.height - kept.height,
    )
    users = kept.group_by("user", maintain_order=True).agg(pl.col("user_id").first(), pl.len())
    codes, suffixes, tokenizer = (None, None, "") if ids is None else _codes(catalogue, ids)
    if codes is not None:
        highest = int(codes.max()) + 1
        if codebook_size and highest > codebook_size:
            raise InputError(f"ids: a code of {highest - 1} in a codebook of {codebook_size}")
        codebook_size = codebook_size or highest
    dataset = SequenceDataset(
        tuple(catalogue["item_id"]),
        tuple(users["user_id"]),
        kept["number"].cast(pl.Int32).to_numpy(writable=True),
        np.concatenate([[0], users["len"].cast(pl.Int64).cum_sum().to_numpy()]).astype(np.int64),
        codes,
        suffixes,
        None if vectors is None else _vectors(catalogue, vectors),
        codebooks,
        codebook_size=codebook_size if codes is not None else 0,
        source=source,
        tokenizer=tokenizer,
    )
    return dataset, dropped


def _sequences(events: pl.DataFrame) -> pl.DataFrame:
    """Return `user_id` and `items`, all items of each user in order."""
    if "history" not in events.columns:
        if TIMESTAMP not in events.columns:  # the rows are in order
            events = events.with_columns(pl.int_range(events.height).alias(TIMESTAMP))
        log = in_time_order(check_interactions(events, "interactions"))
        return log.group_by("user_id", maintain_order=True).agg(pl.col("item_id").alias("items"))
    missing = {"user_id", "history", "validation", "test"}.difference(events.columns)
    if missing:
        raise InputError(
            f"sequences: no column {min(missing)!r}; it has {', '.join(events.columns)}"
        )
    source = Source("sequences")
    users = id_column(events["user_id"], source)
    empty = users.is_null() | (users.str.strip_chars() == "")
    if empty.any():
        raise InputError(f"sequences: no user_id in {named_rows(empty)}; name the user")
    repeated = users.is_duplicated()
    if repeated.any():
        raise InputError(f"sequences: user {users.filter(repeated)[0]!r} comes twice")
    history = id_list_column(events["history"], source)
    last = [id_column(events[name], source) for name in ("validation", "test")]
    items = pl.concat_list("history", pl.concat_list("validation", "test"))
    sequences = pl.DataFrame([users, history, *last]).select("user_id", items.alias("items"))
    incomplete = sequences["items"].is_null() | sequences["items"].list.eval(
        pl.element().is_null()
    ).list.any().fill_null(value=True)
    if incomplete.any():
        user = sequences["user_id"].filter(incomplete)[0]
        raise InputError(f"sequences: user {user!r} lacks an item in history, validation or test")
    return sequences


def _without_unknown(flat: pl.DataFrame, most_unknown: float) -> pl.DataFrame:
    unknown = flat.filter(pl.col("number").is_null())
    if unknown.height > most_unknown * flat.height:
        names = unknown["items"].unique(maintain_order=True)
        listed = ", ".join(repr(name) for name in names[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise InputError(
            f"{unknown.height} of {flat.height} events have items that are not in the catalogue "
            f"({listed}{more}); add the items, or allow a share with most_unknown (now "
            f"{most_unknown:g})"
        )
    return flat.filter(pl.col("number").is_not_null())


def _codes(
    catalogue: pl.DataFrame, ids: pl.DataFrame
) -> tuple[NDArray[np.uint16], NDArray[np.uint32], str]:
    missing = {"item_id", "codes", "suffix", "tokenizer"}.difference(ids.columns)
    if missing:
        raise InputError(
            f"ids: no column {min(missing)!r}; a table that semid tokenize wrote is needed"
        )
    check_items(ids.select("item_id"), "ids")
    ids = with_code_lists(ids)
    for name, dtype in (("codes", pl.List(pl.UInt16())), ("suffix", pl.UInt32())):
        try:
            ids = ids.with_columns(pl.col(name).cast(dtype))
        except pl.exceptions.PolarsError as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"ids: {name} of another type ({reason}); a table that semid tokenize wrote is "
                f"needed"
            ) from error
    joined = catalogue.join(ids, on="item_id", how="left", maintain_order="left")
    lacks = pl.col("codes").is_null() | pl.col("codes").list.contains(None, nulls_equal=True)
    without = joined.filter(lacks | pl.col("suffix").is_null())
    if without.height:
        raise InputError(
            f"{without.height} of {joined.height} items have no codes, the first is "
            f"{without['item_id'][0]!r}; tokenize the whole catalogue"
        )
    makers = joined["tokenizer"].unique(maintain_order=True)
    if len(makers) > 1:
        raise InputError(f"ids: codes of {len(makers)} tokenizers ({makers[0]}, {makers[1]}, …)")
    levels = joined["codes"].list.len()
    if levels.n_unique() > 1 or not levels[0]:
        raise InputError("ids: items have different numbers of codes, or none")
    codes = joined["codes"].list.to_array(int(levels[0])).to_numpy(writable=True)
    return codes, joined["suffix"].to_numpy(writable=True), str(makers[0] or "")


def _vectors(catalogue: pl.DataFrame, vectors: pl.DataFrame) -> NDArray[np.float32]:
    joined = join_vectors(catalogue, check_vectors(vectors, "vectors"))
    array = joined["vector"].to_numpy(writable=True)
    finite = np.isfinite(array).all(1)
    if not finite.all():
        raise InputError(
            f"vectors: that of item {joined['item_id'][int(finite.argmin())]!r} has a value that "
            f"is not finite; embed it again"
        )
    return array
