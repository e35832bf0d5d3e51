"""`semid prepare`: public data sets or a user's catalogue → checked tables."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from service.cli.data.public_data import esci, jdsearch, movielens
from service.cli.terminal.command import add_command
from service.cli.terminal.console import output, working
from service.cli.terminal.options import CatalogueOptions, QuietOption
from service.settings import argument, option

if TYPE_CHECKING:
    import polars as pl

    from tokenizer.pipeline import Pipeline

__all__ = ["app"]

app = typer.Typer(
    help="Convert data to the tables that the other commands read.", no_args_is_help=True
)
TABLES = ("items.parquet", "interactions.parquet", "sequences.parquet", "prepare.json")


class AmazonSettings(QuietOption):
    """The options of `semid prepare amazon`."""

    command = "prepare amazon"

    reviews: Path = option("reviews_<Category>_5.json.gz")
    metadata: Path = option("meta_<Category>.json.gz")
    out: Path = option("Folder for the tables.")
    k_core: int = option("Smallest number of interactions of every user and item.", 5, ge=1)


def amazon(settings: AmazonSettings) -> None:
    """Read a category of the Amazon product data of 2014.

    Writes items.parquet, interactions.parquet (each user's events in time order; file order breaks
    ties), sequences.parquet (leave-one-out: history, validation, test) and prepare.json.

    Example: semid prepare amazon --reviews reviews_Beauty_5.json.gz --metadata
    meta_Beauty.json.gz --out data/beauty
    """
    import polars as pl

    from data_prep.readers.amazon import read_category
    from data_prep.sequences import leave_one_out
    from data_prep.storage.files import check_writable, written_aside
    from data_prep.storage.record import file_digest, run_record

    started = time.perf_counter()
    out = settings.out
    check_writable(out, TABLES)
    with working("reading reviews and metadata"):
        interactions, items = read_category(settings.reviews, settings.metadata, settings.k_core)
    described = interactions.filter(pl.col("item_id").is_in(items["item_id"].implode()))
    without = interactions["item_id"].n_unique() - described["item_id"].n_unique()
    counts = {
        "users": interactions["user_id"].n_unique(),
        "items": items.height,
        "interactions": interactions.height,
        "items_without_metadata": without,
    }
    digest = file_digest(settings.reviews) + file_digest(settings.metadata)
    sequences = leave_one_out(interactions)
    short = counts["users"] - sequences.height
    with written_aside(out, TABLES) as folder:
        items.write_parquet(folder / "items.parquet")
        interactions.write_parquet(folder / "interactions.parquet")
        sequences.write_parquet(folder / "sequences.parquet")
        record = run_record(None, digest, time.perf_counter() - started)
        (folder / "prepare.json").write_text(json.dumps({**counts, "record": record}, indent=2))
    output.print(
        f"{out}: {counts['users']:,} users, {counts['items']:,} items, "
        f"{counts['interactions']:,} interactions"
    )
    if short:
        output.print(f"{short:,} users have fewer than three interactions and no sequence")
    if without:
        output.print(f"{without:,} items with interactions have no metadata, so no text")


class TrainingSettings(QuietOption):
    """The options of `semid prepare training`."""

    command = "prepare training"

    events: Path = argument(
        "sequences.parquet, or a log of events: user_id, item_id, and timestamp if the rows are in "
        "no order."
    )
    items: Path = option("The catalogue, items.parquet.")
    out: Path = option("File for semid train (.safetensors).")
    ids: Path | None = option("IDs from semid tokenize, for models that read them.", None)
    tokenizer: Path | None = option(
        "Tokenizer of the IDs; the model's code embeddings then start from its codewords.", None
    )
    vectors: Path | None = option("Content vectors (parquet: item_id, vector).", None)
    column: dict[str, str] = option(
        "Read semid's column OURS of the log from the file's column THEIRS, such as "
        "user_id=customer. May be repeated.",
        {},
        metavar="OURS=THEIRS",
    )
    most_unknown: float = option(
        "Largest share of events whose item is not in the catalogue.", 0.0, ge=0, le=1
    )


def training(settings: TrainingSettings) -> None:
    """Write histories and IDs to one file that recommenders train on.

    Each user's last item is for the test, the one before for validation, and the others for
    training. An event whose item is not in the catalogue is an error; --most-unknown lets some be
    left out.

    Example: semid prepare training data/beauty/sequences.parquet --items data/beauty/items.parquet
    --ids beauty-ids.parquet --tokenizer tokenizers/beauty --out data/beauty/training.safetensors
    """
    from data_prep.errors import InputError
    from data_prep.readers.catalogue import read_table, read_vectors
    from data_prep.storage.files import written_aside
    from data_prep.storage.record import file_digest
    from recsys.data.preparation import prepare_reported
    from tokenizer.pipeline import Pipeline

    given = None if settings.ids is None else read_table(settings.ids)
    pipeline = None if settings.tokenizer is None else Pipeline.load(settings.tokenizer)
    if pipeline is not None and given is not None and "tokenizer" in given.columns:
        other = given.filter(given["tokenizer"] != pipeline.fingerprint)
        if other.height:
            raise InputError(
                f"{settings.ids} has IDs of tokenizer {other['tokenizer'][0]}, and "
                f"{settings.tokenizer} is {pipeline.fingerprint}; give the one that made them"
            )
    dataset, dropped = prepare_reported(
        _events(settings),
        _catalogue(settings, pipeline),
        given,
        None if settings.vectors is None else read_vectors(settings.vectors),
        None if pipeline is None or given is None else pipeline.codebooks,
        0 if pipeline is None else pipeline.codebook_size,
        settings.most_unknown,
        "+".join(file_digest(path) for path in (settings.events, settings.items)),
    )
    with written_aside(settings.out) as path:
        dataset.save(path)
    output.print(
        f"{settings.out}: {dataset.n_users:,} users, {dataset.n_items:,} items, "
        f"{len(dataset.events):,} events"
    )
    for line in dropped.told():
        output.print(line)


def _events(settings: TrainingSettings) -> "pl.DataFrame":
    """Return the log with our column names; names that were taken by themselves are printed."""
    from data_prep.mapping.event_columns import events_of
    from data_prep.readers.table_files import read_table_file
    from service.cli.terminal.console import progress

    file = read_table_file(settings.events)
    frame, guessed = events_of(file.frame, file.name, settings.column)
    if guessed:
        pairs = ", ".join(f"{ours}={theirs}" for ours, theirs in guessed.items())
        progress.print(f"columns of {settings.events.name} by their names: {pairs}")
    if not {"timestamp", "history"} & set(frame.columns):
        progress.print(f"{settings.events.name} has no times; its rows are taken in their order")
    return frame


def _catalogue(settings: TrainingSettings, pipeline: "Pipeline | None") -> "pl.DataFrame":
    """Return the catalogue's items, by the tokenizer's mapping if one is given."""
    from data_prep.mapping.column_names import guess_mapping
    from data_prep.readers.catalogue import items_of
    from data_prep.readers.table_files import read_table_file

    file = read_table_file(settings.items)
    mapping = guess_mapping(file.frame.columns).mapping
    if pipeline is not None and pipeline.config.mapping is not None:
        mapping = pipeline.config.mapping
    return items_of(file, mapping, ())


class CatalogueSettings(CatalogueOptions, QuietOption):
    """The options of `semid prepare catalogue`."""

    command = "prepare catalogue"

    source: Path = argument("Your catalogue: .parquet, .csv or .jsonl, the last two also .gz")
    out: Path = option("Folder for the tables.")


def catalogue(settings: CatalogueSettings) -> None:
    """Check a catalogue of your own and write it as items.parquet.

    Example: semid prepare catalogue products.csv --column item_id=sku --column title=name --out
    data/shop
    """
    from data_prep.storage.files import written_aside

    items, _ = settings.read_guessed(settings.source)
    with written_aside(settings.out / "items.parquet") as path:
        items.write_parquet(path)
    output.print(f"{settings.out / 'items.parquet'}: {items.height:,} items")


add_command(app, amazon)
add_command(app, esci)
add_command(app, jdsearch)
add_command(app, movielens)
add_command(app, training)
add_command(app, catalogue)
add_command(app, catalogue, "catalog", hidden=True)  # the earlier spelling
