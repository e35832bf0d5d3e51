"""`semid prepare esci`, `jdsearch` and `movielens`: public data sets of search and of ratings."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.cli.terminal.console import output, working
from service.cli.terminal.options import QuietOption
from service.settings import Paths, argument, option

__all__ = ["esci", "jdsearch", "movielens"]

ESCI_TABLES = ("items.parquet", "queries.parquet", "prepare.json")
JDSEARCH_TABLES = (*ESCI_TABLES, "interactions.parquet", "sequences.parquet")
MOVIELENS_TABLES = ("items.parquet", "interactions.parquet", "sequences.parquet", "prepare.json")


class EsciSettings(QuietOption):
    """The options of `semid prepare esci`."""

    command = "prepare esci"

    examples: Paths = option(
        "shopping_queries_dataset_examples.parquet, or the parts of a mirror that joins both.",
        min_length=1,
    )
    products: Paths = option(
        "shopping_queries_dataset_products.parquet; not for a joined mirror.", ()
    )
    sources: Path | None = option("shopping_queries_dataset_sources.csv", None)
    out: Path = option("Folder for the tables.")
    locale: str = option("us, es or jp; all its products are ranked.", "us")
    version: str = option("large or small.", "large")
    positive: str = option("Labels that count as a match: E, or ES.", "E")
    validation: float = option("Share of the training queries for validation.", 0.05, ge=0, lt=1)


class JdsearchSettings(QuietOption):
    """The options of `semid prepare jdsearch`."""

    command = "prepare jdsearch"

    behaviour: Path = option("user_behavior_data.txt, or the older release_data.txt")
    products: Path = option("product_meta_data.txt, or the older product_data.txt")
    out: Path = option("Folder for the tables.")
    least: int = option("Smallest number of events of a user with a sequence.", 5, ge=3)


class MovielensSettings(QuietOption):
    """The options of `semid prepare movielens`."""

    command = "prepare movielens"

    folder: Path = argument("Folder of a MovieLens release: 25M, 10M, 1M, 100K, latest, …")
    out: Path = option("Folder for the tables.")
    least_rating: float = option("Smallest rating that is kept.", 0.0, ge=0, le=5)
    k_core: int = option("Smallest number of ratings of every user and movie.", 5, ge=1)


def esci(settings: EsciSettings) -> None:
    """Read Amazon's Shopping Queries data set.

    Writes items.parquet (all products of the locale), queries.parquet (judgements with their gains
    and splits) and prepare.json. Products are streamed.

    Example: semid prepare esci --examples shopping_queries_dataset_examples.parquet --products
    shopping_queries_dataset_products.parquet --locale us --out data/esci-us
    """
    from data_prep.readers.esci import prepare_esci
    from data_prep.storage.files import check_writable, written_aside

    started = time.perf_counter()
    check_writable(settings.out, ESCI_TABLES)
    with working("reading queries and products"), written_aside(settings.out, ESCI_TABLES) as made:
        counts = prepare_esci(
            settings.examples,
            settings.products,
            made,
            settings.locale,
            settings.version,
            settings.positive,
            settings.validation,
            settings.sources,
        )
        options = settings.model_dump(include={"locale", "version", "positive", "validation"})
        given = [*settings.examples, *settings.products]
        _record(made, options | counts.plain(), given, started)
    queries = ", ".join(f"{count:,} {split}" for split, count in counts.queries.items())
    output.print(f"{settings.out}: {counts.items:,} items, queries: {queries}")
    for line in counts.told():
        output.print(line)


def jdsearch(settings: JdsearchSettings) -> None:
    """Read JDsearch: anonymised queries, shown products and histories.

    Writes items.parquet, interactions.parquet (histories with their queries), sequences.parquet
    (leave-one-out), queries.parquet (the products shown for each user's last query, with labels)
    and prepare.json. The files are streamed. Terms are numbers: fit an encoder to them.

    Example: semid prepare jdsearch --behaviour user_behavior_data.txt --products
    product_meta_data.txt --out data/jdsearch
    """
    from data_prep.readers.jdsearch import prepare_jdsearch
    from data_prep.storage.files import check_writable, written_aside

    started = time.perf_counter()
    out, behaviour, products = settings.out, settings.behaviour, settings.products
    check_writable(out, JDSEARCH_TABLES)
    with working("reading products and histories"), written_aside(out, JDSEARCH_TABLES) as made:
        counts = prepare_jdsearch(behaviour, products, made, settings.least)
        options = {"least": settings.least}
        _record(made, options | counts.plain(), [behaviour, products], started)
    output.print(
        f"{out}: {counts.users:,} users, {counts.items:,} items, "
        f"{counts.interactions:,} interactions, {counts.sequences:,} sequences"
    )
    for line in counts.told():
        output.print(line)


def movielens(settings: MovielensSettings) -> None:
    """Read a release of MovieLens.

    Writes items.parquet (titles, genres, tags), interactions.parquet, sequences.parquet
    (leave-one-out) and prepare.json.

    Example: semid prepare movielens ml-25m --out data/ml-25m
    """
    from data_prep.readers.movielens import read_movielens
    from data_prep.sequences import k_core, leave_one_out
    from data_prep.storage.files import check_writable, written_aside

    started = time.perf_counter()
    out = settings.out
    check_writable(out, MOVIELENS_TABLES)
    with working("reading ratings and movies"):
        found = read_movielens(settings.folder, settings.least_rating)
    interactions = k_core(found.interactions, settings.k_core)
    sequences = leave_one_out(interactions)
    counts = {
        "users": interactions["user_id"].n_unique(),
        "items": found.items.height,
        "interactions": interactions.height,
    }
    with written_aside(out, MOVIELENS_TABLES) as made:
        found.items.write_parquet(made / "items.parquet")
        interactions.write_parquet(made / "interactions.parquet")
        sequences.write_parquet(made / "sequences.parquet")
        options = settings.model_dump(include={"least_rating", "k_core"})
        _record(made, options | {"layout": found.layout} | counts, found.files, started)
    output.print(
        f"{out}: {counts['users']:,} users, {counts['items']:,} movies, "
        f"{counts['interactions']:,} ratings"
    )


def _record(folder: Path, counts: Mapping[str, Any], files: Sequence[Path], started: float) -> None:
    from data_prep.storage.record import file_digest, run_record

    digest = "+".join(file_digest(path) for path in files)
    record = run_record(None, digest, time.perf_counter() - started)
    (folder / "prepare.json").write_text(json.dumps({**counts, "record": record}, indent=2))
