"""`semid prepare`: public data sets and a user's catalogue → tidy tables."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from service.cli.terminal.console import output
from service.cli.terminal.options import CategorySeparatorOption, ColumnOption, column_map

__all__ = ["app"]

app = typer.Typer(
    help="Bring data into the tables that the other commands read.", no_args_is_help=True
)
TABLES = ("items.parquet", "interactions.parquet", "sequences.parquet", "prepare.json")
OutOption = Annotated[Path, typer.Option("--out", help="Folder for the tables.")]


@app.command()
def amazon(
    reviews: Annotated[Path, typer.Option(help="reviews_<Category>_5.json.gz")],
    metadata: Annotated[Path, typer.Option(help="meta_<Category>.json.gz")],
    out: OutOption,
    k_core: Annotated[
        int, typer.Option(min=1, help="Least interactions of every user and item.")
    ] = 5,
) -> None:
    """Read a category of the Amazon product data of 2014.

    Writes items.parquet, interactions.parquet (each user's events in time order, file order
    breaking ties), sequences.parquet (leave-one-out: history, validation, test) and prepare.json.

    Example: semid prepare amazon --reviews reviews_Beauty_5.json.gz --metadata
    meta_Beauty.json.gz --out data/beauty
    """
    import polars as pl

    from data_prep.readers.amazon import read_category
    from data_prep.sequences import leave_one_out
    from data_prep.storage.files import check_writable, written_aside
    from data_prep.storage.record import file_digest, run_record

    started = time.perf_counter()
    check_writable(out, TABLES)
    with output.status("reading reviews and metadata"):
        interactions, items = read_category(reviews, metadata, k_core)
    described = interactions.filter(pl.col("item_id").is_in(items["item_id"].implode()))
    without = interactions["item_id"].n_unique() - described["item_id"].n_unique()
    counts = {
        "users": interactions["user_id"].n_unique(),
        "items": items.height,
        "interactions": interactions.height,
        "items_without_metadata": without,
    }
    digest = file_digest(reviews) + file_digest(metadata)
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


@app.command()
def training(
    events: Annotated[
        Path,
        typer.Argument(help="sequences.parquet, or interactions (.parquet) to be split by time."),
    ],
    items: Annotated[Path, typer.Option(help="The catalogue, items.parquet.")],
    out: Annotated[Path, typer.Option(help="File for semid train (.safetensors).")],
    ids: Annotated[
        Path | None, typer.Option(help="IDs of semid tokenize, for models that read them.")
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="The IDs' tokenizer: codes then begin as what they stand for."),
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="Content vectors (parquet: item_id, vector).")
    ] = None,
    most_unknown: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events whose item may be unknown.")
    ] = 0.0,
) -> None:
    """Bring histories and IDs into the one file that recommenders train on.

    Each user's last item tests, the one before validates, the others train. An event whose item is
    not in the catalogue is an error, or is left out where --most-unknown allows it.

    Example: semid prepare training data/beauty/sequences.parquet --items data/beauty/items.parquet
    --ids beauty-ids.parquet --tokenizer tokenizers/beauty --out data/beauty/training.safetensors
    """
    from data_prep.errors import InputError
    from data_prep.readers.catalogue import read_table, read_vectors
    from data_prep.storage.files import written_aside
    from data_prep.storage.record import file_digest
    from recsys.data.preparation import prepare_reported
    from tokenizer.pipeline import Pipeline

    given = None if ids is None else read_table(ids)
    pipeline = None if tokenizer is None else Pipeline.load(tokenizer)
    if pipeline is not None and given is not None and "tokenizer" in given.columns:
        other = given.filter(given["tokenizer"] != pipeline.fingerprint)
        if other.height:
            raise InputError(
                f"{ids} has IDs of tokenizer {other['tokenizer'][0]}, and {tokenizer} is "
                f"{pipeline.fingerprint}; give the one that made them"
            )
    dataset, dropped = prepare_reported(
        read_table(events),
        read_table(items),
        given,
        None if vectors is None else read_vectors(vectors),
        None if pipeline is None or given is None else pipeline.codebooks,
        0 if pipeline is None else pipeline.codebook_size,
        most_unknown,
        "+".join(file_digest(path) for path in (events, items)),
    )
    with written_aside(out) as path:
        dataset.save(path)
    output.print(
        f"{out}: {dataset.n_users:,} users, {dataset.n_items:,} items, {len(dataset.events):,} "
        f"events"
    )
    for line in dropped.told():
        output.print(line)


@app.command()
def catalog(
    source: Annotated[
        Path, typer.Argument(help="Your catalogue: .parquet, .csv or .jsonl, the last two also .gz")
    ],
    out: OutOption,
    column: ColumnOption = None,
    category_separator: CategorySeparatorOption = ">",
) -> None:
    """Check a catalogue of your own and write it as items.parquet.

    Example: semid prepare catalog products.csv --column item_id=sku --column title=name --out
    data/shop
    """
    from data_prep.readers.catalogue import read_items
    from data_prep.storage.files import written_aside

    items = read_items(source, column_map(column), category_separator)
    with written_aside(out / "items.parquet") as path:
        items.write_parquet(path)
    output.print(f"{out / 'items.parquet'}: {items.height:,} items")
