"""`semid map-ids`, `semid export`, `semid import`: the registry as files."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.terminal.console import output
from service.cli.terminal.options import DatabaseOption

__all__ = ["export", "import_", "map_ids"]

PAGE = 50_000


def map_ids(
    old: Annotated[str, typer.Option("--from", help="Fingerprint, or how it starts.")],
    new: Annotated[str, typer.Option("--to", help="Fingerprint, or how it starts.")],
    out: Annotated[Path, typer.Option(help="Parquet: item_id, old, new.")],
    database: DatabaseOption = None,
) -> None:
    """Write, of each item, its ID by one tokenizer and by another.

    `new` is empty where the item has no ID by the other tokenizer; removed items are left out.

    Example: semid map-ids --from 3f9a --to 81c0 --out map.parquet
    """
    import polars as pl

    from data_prep.storage.files import check_writable, written_aside
    from service.registry import open_database
    from service.registry.id_map import mapped_ids
    from service.registry.tokenizers import named_tokenizer
    from service.settings import database_url

    check_writable(out)
    schema = {"item_id": pl.String(), "old": pl.String(), "new": pl.String()}
    parts = [pl.DataFrame(schema=schema)]
    with (
        open_database(database_url(database), new=False) as opened,
        opened.refusing(),
        opened.reading() as connection,
    ):
        pair = named_tokenizer(connection, old), named_tokenizer(connection, new)
        after = 0
        while rows := mapped_ids(connection, *pair, after, PAGE):
            after = rows[-1].number
            records = [(row.item_id, row.old, row.new) for row in rows]
            parts.append(pl.DataFrame(records, schema=schema, orient="row"))
    table = pl.concat(parts)
    with written_aside(out) as path:
        table.write_parquet(path)
    output.print(f"{out}: {table.height:,} items, {table['new'].null_count():,} without a new ID")


def export(
    out: Annotated[Path, typer.Option(help="Parquet file.")],
    database: DatabaseOption = None,
) -> None:
    """Write the whole registry to a file: all tokenizers, IDs, titles, removed items too.

    Example: semid export --out registry.parquet
    """
    from data_prep.storage.files import check_writable, written_aside
    from service.registry import open_database
    from service.registry.exchange import export_registry
    from service.settings import database_url

    check_writable(out)
    url = database_url(database)
    with open_database(url, new=False) as opened, opened.refusing(), written_aside(out) as path:
        rows = export_registry(opened, path)
    output.print(f"{out}: {rows:,} IDs")


def import_(
    file: Annotated[Path, typer.Argument(help="What semid export wrote.")],
    database: DatabaseOption = None,
) -> None:
    """Add a registry's file to a database that is empty or agrees with it.

    What the database has must be the same in the file; else nothing is imported.

    Example: semid import registry.parquet --database postgresql+psycopg://semid@db/semid
    """
    from data_prep.storage.files import existing_file
    from service.registry import open_database
    from service.registry.exchange import import_registry
    from service.settings import database_url

    existing_file(file)
    with open_database(database_url(database)) as opened, opened.refusing():
        added = import_registry(opened, file)
    output.print(f"{opened.name}: {added:,} IDs added")
