import numpy as np
import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.sequences import in_time_order, leave_one_out
from recsys.data.dataset import SequenceDataset
from recsys.data.preparation import Dropped, prepare_dataset, prepare_reported

ITEMS = pl.DataFrame({"item_id": ["a", "b", "c", "d"]})
SEQUENCES = pl.DataFrame(
    {
        "user_id": ["u", "v"],
        "history": [["a", "b"], ["c"]],
        "validation": ["c", "b"],
        "test": ["d", "x"],
    }
)
IDS = pl.DataFrame(
    {
        "item_id": ["d", "c", "b", "a"],
        "codes": [[3, 0], [2, 0], [1, 0], [0, 9]],
        "suffix": [0, 0, 1, 0],
        "tokenizer": ["t"] * 4,
    }
)


def test_sequences_and_interactions_give_the_same(
    tables: dict[str, pl.DataFrame], dataset: SequenceDataset
) -> None:
    sequences = leave_one_out(in_time_order(tables["events"]))
    items, ids, vectors = (tables[name] for name in ("items", "ids", "vectors"))
    again = prepare_dataset(sequences, items, ids, vectors, codebook_size=16, source="generated")
    assert again.fingerprint == dataset.fingerprint


def test_the_numbers_stand_for_the_tables_ids(
    tables: dict[str, pl.DataFrame], dataset: SequenceDataset
) -> None:
    sequences = leave_one_out(in_time_order(tables["events"]))
    for user, row in enumerate(sequences.iter_rows(named=True)):
        part = dataset.events[dataset.offsets[user] : dataset.offsets[user + 1]]
        assert dataset.user_ids[user] == row["user_id"]
        named = [dataset.item_ids[item] for item in part]
        assert named == [*row["history"], row["validation"], row["test"]]


def test_codes_and_vectors_are_joined_by_item() -> None:
    vectors = pl.DataFrame(
        {"item_id": ["b", "a", "d", "c"], "vector": [[1.0], [0.0], [3.0], [2.0]]}
    )
    data = prepare_dataset(SEQUENCES[:1], ITEMS, IDS, vectors)
    assert data.codes is not None
    assert data.suffixes is not None
    assert data.vectors is not None
    assert data.codes.tolist() == [[0, 9], [1, 0], [2, 0], [3, 0]]
    assert data.suffixes.tolist() == [0, 1, 0, 0]
    assert data.vectors.tolist() == [[0], [1], [2], [3]]
    assert (data.codebook_size, data.tokenizer) == (10, "t")
    assert data.codes.dtype == np.uint16


def test_unknown_items_are_counted_and_listed() -> None:
    with pytest.raises(InputError, match=r"1 of 7 events .* \('x'\); .* \(now 0\)"):
        prepare_dataset(SEQUENCES, ITEMS)
    many = SEQUENCES.with_columns(history=pl.lit(["1", "2", "3", "4", "5", "6"]))
    with pytest.raises(InputError, match=r"'1', '2', '3', '4', '5' and 2 more"):
        prepare_dataset(many, ITEMS, most_unknown=0.5)


def test_within_the_threshold_unknown_events_are_left_out() -> None:
    """The user that keeps two events is left out with them."""
    data = prepare_dataset(SEQUENCES, ITEMS, most_unknown=0.2)
    assert data.user_ids == ("u",)
    assert data.events.tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="no user has the three"):
        prepare_dataset(SEQUENCES[1:], ITEMS, most_unknown=0.5)


@pytest.mark.parametrize(
    ("events", "ids", "message"),
    [
        (SEQUENCES.drop("test"), None, "no column 'test'"),
        (SEQUENCES[[0, 0]], None, "user 'u' comes twice"),
        (SEQUENCES.with_columns(test=None), None, "user 'u' lacks an item"),
        (SEQUENCES.with_columns(history=pl.lit([None, "a"])), None, "user 'u' lacks an item"),
        (SEQUENCES.with_columns(history=pl.lit(None)), None, "user 'u' lacks an item"),
        (SEQUENCES[:1], IDS.drop("codes"), "no column 'codes'"),
        (SEQUENCES[:1], IDS[1:], "1 of 4 items have no codes, the first is 'd'"),
        (SEQUENCES[:1], IDS.with_columns(tokenizer="item_id"), "codes of 4 tokenizers"),
        (
            SEQUENCES[:1],
            IDS.with_columns(codes=pl.Series([[1], [1, 2], [1], [1]])),
            "different numbers of codes",
        ),
        (SEQUENCES[:1], IDS.with_columns(codes=pl.lit([-1, 2])), "codes of another type"),
        (SEQUENCES[:1], IDS.with_columns(codes=pl.lit("1-x")), "codes of another type"),
        (SEQUENCES[:1], IDS.with_columns(suffix=-1), "suffix of another type"),
        (SEQUENCES[:1], IDS.with_columns(codes=pl.lit([1, None])), "4 of 4 items have no codes"),
    ],
)
def test_unusable_tables_are_refused(
    events: pl.DataFrame, ids: pl.DataFrame | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        prepare_dataset(events, ITEMS, ids)


def test_a_catalogue_without_item_ids_is_refused() -> None:
    with pytest.raises(InputError, match="items: no column 'item_id'; it has name"):
        prepare_dataset(SEQUENCES[:1], ITEMS.rename({"item_id": "name"}))


def test_a_code_beyond_the_codebook_is_refused() -> None:
    with pytest.raises(InputError, match="a code of 9 in a codebook of 8"):
        prepare_dataset(SEQUENCES[:1], ITEMS, IDS, codebook_size=8)


def test_a_vector_that_is_not_finite_is_refused() -> None:
    vectors = pl.DataFrame({"item_id": list("abcd"), "vector": [[0.0], [1.0], [np.nan], [3.0]]})
    with pytest.raises(InputError, match="item 'c' has a value that is not finite"):
        prepare_dataset(SEQUENCES[:1], ITEMS, vectors=vectors)


def test_what_is_left_out_is_counted_by_its_reason() -> None:
    """V keeps two known events of four, w has two."""
    events = [("u", item) for item in "abcd"] + [("v", item) for item in "abxy"]
    events += [("w", "a"), ("w", "b")]
    log = pl.DataFrame(events, schema=["user_id", "item_id"], orient="row")
    log = log.with_columns(timestamp=pl.int_range(pl.len()))
    data, dropped = prepare_reported(log, ITEMS, most_unknown=0.5)
    assert data.user_ids == ("u",)
    assert dropped == Dropped(1, 2, 2, 1, 2)
    assert dropped.told() == [
        "left out: 1 users with fewer than 3 events, and their 2 events",
        "left out: 2 events whose item is not in the catalogue",
        "left out: 1 users that keep fewer than 3 events without those, and their 2 events",
    ]
    assert prepare_reported(log[:4], ITEMS)[1].told() == []


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64])
def test_users_and_items_of_sequences_may_be_numbers(dtype: type[pl.DataType]) -> None:
    events = pl.DataFrame(
        {"user_id": [1], "history": [[7, 8]], "validation": [9], "test": [7]}
    ).with_columns(
        pl.col("user_id", "validation", "test").cast(dtype), pl.col("history").cast(pl.List(dtype))
    )
    data = prepare_dataset(events, pl.DataFrame({"item_id": [7, 8, 9]}))
    assert data.user_ids == ("1",)
    assert data.events.tolist() == [0, 1, 2, 0]


def test_rows_without_a_user_are_named() -> None:
    with pytest.raises(InputError, match="no user_id in row 2"):
        prepare_dataset(SEQUENCES.with_columns(user_id=pl.Series(["u", None])), ITEMS)
