"""Tables of judged queries or of histories → the requests of a search data set. Needs polars."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.sequences import in_time_order
from data_prep.tables import check_interactions, check_queries
from recsys.search.data.dataset import NO_QUERY, SPLITS, SearchDataset

__all__ = ["Embedded", "of_events", "of_histories", "of_judgements", "with_shown", "with_vectors"]

Embedded = Callable[[Sequence[str]], NDArray[np.float32]]
HELD_BACK = {"test": 1, "validation": 2}


def of_judgements(queries: pl.DataFrame, item_ids: Sequence[str], source: str) -> SearchDataset:
    """Make one request of each judged query; histories are empty.

    Args:
        queries: the Queries table; `positive` (bool) marks what answers a query, without it all
            judgements with a label above 0 do. A missing split is `train`.
        item_ids: the catalogue; judgements of other items are left out.

    Raises:
        InputError: as `check_queries`; an unknown split; or no judgement is of the catalogue.
    """
    table = check_queries(queries, "queries")
    splits = table["split"].fill_null("train")
    odd = ~splits.is_in(SPLITS)
    if odd.any():
        raise InputError(f"queries: split {splits.filter(odd)[0]!r}; known: {', '.join(SPLITS)}")
    if "positive" not in table.columns:
        table = table.with_columns(positive=pl.col("label") > 0)
    numbers = pl.DataFrame({"item_id": item_ids}).with_row_index("item")
    judged = (
        table.with_columns(split=splits)
        .join(numbers, on="item_id", how="inner", maintain_order="left")
        .with_columns(request=pl.col("query_id").rank("dense") - 1)
        .sort("request", maintain_order=True)
    )
    if judged.is_empty():
        raise InputError("queries: no judged item is in the catalogue")
    requests = judged.group_by("request", maintain_order=True).agg(
        pl.col("query").first(), pl.col("split").first(), pl.len()
    )
    texts = requests["query"].unique(maintain_order=True)
    places = pl.DataFrame({"query": texts}).with_row_index("place")
    number = requests.join(places, on="query", how="left", maintain_order="left")["place"]
    zeros = np.zeros(requests.height, dtype=np.int64)
    return SearchDataset(
        tuple(item_ids),
        tuple(texts),
        number.cast(pl.Int32).to_numpy(writable=True),
        _numbered(requests["split"]),
        np.empty(0, dtype=np.int32),
        zeros,
        zeros,
        np.concatenate([[0], requests["len"].cum_sum().to_numpy(writable=True)]).astype(np.int64),
        judged["item"].cast(pl.Int32).to_numpy(writable=True),
        judged["label"].to_numpy(writable=True).astype(np.float32),
        judged["positive"].to_numpy(writable=True),
        source=source,
    )


def of_histories(
    events: pl.DataFrame, item_ids: Sequence[str], source: str, *, unseen_pairs: bool = False
) -> SearchDataset:
    """Make a request of each event: the query that led to it, after the user's earlier items.

    A user's last event is for the test, the one before for validation, the others for training; a
    user's first event counts only if it has a query.

    Args:
        events: `user_id`, `item_id` and `query` (null where there was none), in time order; users
            one after the other.
        item_ids: the catalogue; events of other items are left out.
        unseen_pairs: drop requests without a query; validation and training requests with the query
            of the same user's test request; and training requests with that of the validation.

    Raises:
        InputError: no user has three events.
    """
    numbers = pl.DataFrame({"item_id": item_ids}).with_row_index("item")
    known = events.join(numbers, on="item_id", how="inner", maintain_order="left").filter(
        pl.len().over("user_id") >= 3
    )
    if known.is_empty():
        raise InputError("no user has the three events that training and two tests need")
    order = known["user_id"].rle_id().cast(pl.Int64)
    if order.n_unique() != known["user_id"].n_unique():
        raise InputError("events: a user's events stand apart; sort them by user and time")
    texts = known["query"].drop_nulls().unique(maintain_order=True)
    places = pl.DataFrame({"query": texts}).with_row_index("place")
    query = (
        known.join(places, on="query", how="left", maintain_order="left")["place"]
        .cast(pl.Int32)
        .fill_null(NO_QUERY)
        .to_numpy(writable=True)
    )
    user = order.to_numpy(writable=True)
    lengths = np.bincount(user)
    starts = (np.cumsum(lengths) - lengths)[user]
    at = np.arange(len(user))
    left = (starts + lengths[user]) - at  # 1 for a user's last event
    split = np.full(len(user), SPLITS.index("train"), dtype=np.uint8)
    for name, held_back in HELD_BACK.items():
        split[left == held_back] = SPLITS.index(name)
    kept = (at > starts) | (query != NO_QUERY)
    if unseen_pairs:
        ends = starts + lengths[user]
        kept = query != NO_QUERY
        for held_back in HELD_BACK.values():
            kept &= (query != query[ends - held_back]) | (left <= held_back)
    rows = np.flatnonzero(kept)
    return SearchDataset(
        tuple(item_ids),
        tuple(texts),
        query[rows],
        split[rows],
        known["item"].cast(pl.Int32).to_numpy(writable=True),
        starts[rows].astype(np.int64),
        rows.astype(np.int64),
        np.arange(len(rows) + 1, dtype=np.int64),
        known["item"].cast(pl.Int32).to_numpy(writable=True)[rows],
        np.ones(len(rows), dtype=np.float32),
        np.ones(len(rows), dtype=bool),
        source=source,
    )


def of_events(events: pl.DataFrame, item_ids: Sequence[str], source: str) -> SearchDataset:
    """Make requests of a log of events, like `of_histories`, after checking and ordering it.

    Args:
        events: the Interactions table with a further column `query`; an empty text is no query.

    Raises:
        InputError: as `check_interactions` and `of_histories`; or there is no column `query`.
    """
    if "query" not in events.columns:
        raise InputError(f"events: no column 'query'; it has {', '.join(events.columns)}")
    log = in_time_order(check_interactions(events, "events"))
    asked = pl.col("query").cast(pl.String).str.strip_chars()
    query = pl.when(asked != "").then(asked)
    return of_histories(log.select("user_id", "item_id", query=query), item_ids, source)


def with_shown(
    dataset: SearchDataset, users: Sequence[str], shown: pl.DataFrame, ends: NDArray[np.int64]
) -> SearchDataset:
    """Add a request `shown` for each user with shown products; its history is all user's events.

    Args:
        users: the users of the data set's events, in their order.
        shown: the Queries table of the products that were shown, one query a user.
        ends: (users + 1,) int64, where each user's events begin, and their end.
    """
    table = check_queries(shown, "queries")
    numbers = pl.DataFrame({"item_id": dataset.item_ids}).with_row_index("item")
    people = pl.DataFrame({"user_id": users}).with_row_index("user")
    judged = (
        table.join(numbers, on="item_id", how="inner", maintain_order="left")
        .join(people, on="user_id", how="inner", maintain_order="left")
        .sort("user", maintain_order=True)
    )
    requests = judged.group_by("user", maintain_order=True).agg(pl.col("query").first(), pl.len())
    fresh = requests["query"].filter(~requests["query"].is_in(dataset.queries))
    texts = (*dataset.queries, *fresh.unique(maintain_order=True))
    places = pl.DataFrame({"query": texts}).with_row_index("place")
    number = requests.join(places, on="query", how="left", maintain_order="left")["place"]
    user = requests["user"].to_numpy(writable=True).astype(np.int64)
    added = np.full(len(user), SPLITS.index("shown"), dtype=np.uint8)
    lengths = requests["len"].cum_sum().to_numpy(writable=True).astype(np.int64)
    return replace(
        dataset,
        queries=texts,
        request_query=np.append(
            dataset.request_query, number.cast(pl.Int32).to_numpy(writable=True)
        ),
        request_split=np.append(dataset.request_split, added),
        history_start=np.append(dataset.history_start, ends[:-1][user]),
        history_end=np.append(dataset.history_end, ends[1:][user]),
        judged_offsets=np.append(dataset.judged_offsets, dataset.judged_offsets[-1] + lengths),
        judged=np.append(dataset.judged, judged["item"].cast(pl.Int32).to_numpy(writable=True)),
        gains=np.append(dataset.gains, judged["label"].to_numpy(writable=True).astype(np.float32)),
        positive=np.append(dataset.positive, (judged["label"] > 0).to_numpy(writable=True)),
    )


def with_vectors(
    dataset: SearchDataset,
    vectors: NDArray[np.float32],
    embedded: Embedded,
    encoder: tuple[str, str],
) -> SearchDataset:
    """Add the vectors of items and of queries.

    Args:
        vectors: (n_items, D) float32.
        embedded: texts → vectors (n, D).
        encoder: name and revision.
    """
    queries = embedded(dataset.queries)
    if queries.shape[1:] != vectors.shape[1:]:
        raise InputError(
            f"queries have vectors of length {queries.shape[1]}, items of {vectors.shape[1]}; one "
            f"encoder must make both"
        )
    return replace(dataset, vectors=vectors, query_vectors=queries, encoder=encoder)


def _numbered(splits: pl.Series) -> NDArray[np.uint8]:
    places = {name: place for place, name in enumerate(SPLITS)}
    return splits.replace_strict(places, return_dtype=pl.UInt8).to_numpy(writable=True)
