"""`semid recommend`: the items that may come after a history, without a service."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from service.cli.terminal.console import errors, output, print_json, print_table
from service.cli.terminal.options import (
    CATALOGUE,
    CatalogueOptions,
    JsonOption,
    QuietOption,
    ThreadsOption,
)
from service.settings import Several, argument, option

if TYPE_CHECKING:
    from recsys.recommender import Recommender

__all__ = ["RecommendSettings", "recommend"]

MOST_LEVELS, MOST_CODES = 16, 65_536  # of any tokenizer
History = tuple[str, list[str]]


class RecommendSettings(ThreadsOption, CatalogueOptions, QuietOption, JsonOption):
    """The options of `semid recommend`."""

    command = "recommend"

    recommender: Path = argument("Folder that semid train wrote.")
    history: Several = option(
        "item_ids of one history, oldest first, joined by commas. May be repeated.", ()
    )
    histories: Path | None = option(
        "Histories as a table (.parquet, .csv, .jsonl): user_id, item_id, and timestamp if the "
        "rows are not in order.",
        None,
    )
    k: int = option("Items for each history.", 10, ge=1)
    exclude_seen: bool = option("Leave out the items of the history.", True)
    candidates: Path | None = option(
        "Table with a column item_id: the only items that may be recommended.", None
    )
    first_codes: str = option(
        "First codes of the items that may be recommended, such as 12-240.", "", name="--prefix"
    )
    words: str = option(
        "Only items whose titles have these words, or words that begin with them; needs --items.",
        "",
    )
    out: Path | None = option("Parquet file: user_id, rank, item_id, score.", None)
    items: Path | None = option(f"{CATALOGUE}, for titles.", None)


def recommend(settings: RecommendSettings) -> None:
    """Recommend the items that come after each history, best first.

    The model reads the last items of each history; items that it does not know are ignored.

    Example: semid recommend recommenders/beauty --history B00K1,B00L7 --items
    data/beauty/items.parquet
    """
    from data_prep.storage.files import check_writable
    from recsys.recommender import Recommender

    settings.use_threads()
    histories = _histories(settings)
    if settings.words.strip() and settings.items is None:
        raise InputError("--words needs --items, the catalogue with the titles")
    if settings.out is not None:
        check_writable(settings.out)
    titles = {}
    if settings.items is not None:
        frame = settings.read(settings.items)
        titles = dict(zip(frame["item_id"], frame["title"], strict=True))
    loaded = Recommender.load(settings.recommender)
    read = [items for _, items in histories]
    candidates = _with_words(settings.words, _candidates(settings, loaded), titles)
    found = loaded.recommend(
        read,
        settings.k,
        exclude_seen=settings.exclude_seen,
        candidates=candidates,
        prefix=_prefix(settings.first_codes),
    )
    rows = [
        (user, rank, each.item_id, each.score)
        for (user, _), answer in zip(histories, found, strict=True)
        for rank, each in enumerate(answer, start=1)
    ]
    if settings.out is not None:
        _write(settings.out, rows)
    names = ("user_id", "rank", "item_id", "score")
    if settings.as_json:
        told = [dict(zip(names, row, strict=True)) for row in rows]
        print_json(
            [row | ({"title": titles.get(row["item_id"])} if titles else {}) for row in told]
        )
    elif settings.out is not None:
        output.print(f"{settings.out}: {len(rows):,} items for {len(histories):,} histories")
    elif titles:
        print_table((*names, "title"), [(*row, titles.get(row[2]) or "") for row in rows])
    else:
        print_table(names, rows)


def _histories(settings: RecommendSettings) -> list[History]:
    """Return each history with its user; histories on the command line are numbered from 1."""
    from data_prep.readers.catalogue import read_table

    if bool(settings.history) == (settings.histories is not None):
        raise InputError("give either --history or --histories")
    if settings.histories is None:
        given = [each.split(",") for each in settings.history]
        return [
            (str(number), [item.strip() for item in items if item.strip()])
            for number, items in enumerate(given, start=1)
        ]
    events = read_table(settings.histories)
    for name in ("user_id", "item_id"):
        if name not in events.columns:
            raise InputError(
                f"{settings.histories}: no column {name!r}; it has {', '.join(events.columns)}"
            )
    if "timestamp" in events.columns:
        events = events.sort("timestamp", maintain_order=True)
    users = events.group_by("user_id", maintain_order=True).agg("item_id")
    return [(str(user), list(map(str, items))) for user, items in users.iter_rows()]


def _candidates(settings: RecommendSettings, loaded: "Recommender") -> list[str] | None:
    """Return the items that may be recommended, and tell how many are unknown; None for all."""
    from data_prep.readers.catalogue import read_table

    if settings.candidates is None:
        return None
    table = read_table(settings.candidates)
    if "item_id" not in table.columns:
        raise InputError(
            f"{settings.candidates}: no column 'item_id'; it has {', '.join(table.columns)}"
        )
    candidates = [str(item_id) for item_id in table["item_id"]]
    if unknown := loaded.unknown(candidates):
        errors.print(
            f"{len(unknown):,} candidates are unknown to the recommender, the first is "
            f"{unknown[0]!r}; they are ignored"
        )
    return candidates


def _with_words(
    words: str, candidates: list[str] | None, titles: Mapping[str, str | None]
) -> list[str] | None:
    """Return those candidates whose titles have the words; None means all items."""
    from data_prep.values.words import has_terms, query_terms

    if not words.strip():
        return candidates
    terms = query_terms(words)
    among = titles if candidates is None else candidates
    found = [item_id for item_id in among if terms and has_terms(titles.get(item_id), terms)]
    if not found:
        raise InputError(f"--words: no item's title has {words!r}")
    return found


def _prefix(text: str) -> tuple[int, ...]:
    from tokenizer.ids.semantic_id import parse_prefix

    return parse_prefix(text, MOST_LEVELS, MOST_CODES) if text else ()


def _write(path: Path, rows: Sequence[tuple[str, int, str, float]]) -> None:
    import polars as pl

    from data_prep.storage.files import written_aside

    schema = {"user_id": pl.String(), "rank": pl.UInt32(), "item_id": pl.String()}
    written = pl.DataFrame(rows, {**schema, "score": pl.Float32()}, orient="row")
    with written_aside(path) as aside:
        written.write_parquet(aside)
