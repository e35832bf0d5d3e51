"""`semid map-ids`, `semid export`, `semid import`: the registry in files."""

from pathlib import Path

from service.cli.terminal.console import output
from service.settings import RegistrySettings, argument, option

__all__ = ["export", "import_", "map_ids"]

PAGE = 50_000


class MapIdsSettings(RegistrySettings):
    """The options of `semid map-ids`."""

    command = "map-ids"

    old: str = option("Fingerprint of the old tokenizer, or its first characters.", name="--from")
    new: str = option("Fingerprint of the new tokenizer, or its first characters.", name="--to")
    out: Path = option("Parquet file: item_id, old, new.")


class ExportSettings(RegistrySettings):
    """The options of `semid export`."""

    command = "export"

    out: Path = option("Parquet file for the registry.")


class ImportSettings(RegistrySettings):
    """The options of `semid import`."""

    command = "import"
    after_stop = "nothing is imported; the same command starts again"

    file: Path = argument("File that semid export wrote.")


def map_ids(settings: MapIdsSettings) -> None:
    """Write each item's ID by one tokenizer and its ID by another.

    `new` is empty where the item has no ID by the other tokenizer; removed items are left out.

    Example: semid map-ids --from 3f9a --to 81c0 --out map.parquet
    """
    import polars as pl

    from data_prep.storage.files import check_writable, written_aside
    from service.registry import open_database
    from service.registry.id_map import mapped_ids
    from service.registry.tokenizers import named_tokenizer

    out = settings.out
    check_writable(out)
    schema = {"item_id": pl.String(), "old": pl.String(), "new": pl.String()}
    parts = [pl.DataFrame(schema=schema)]
    with (
        open_database(settings.database, new=False) as opened,
        opened.refusing(),
        opened.reading() as connection,
    ):
        old = named_tokenizer(connection, settings.old)
        new = named_tokenizer(connection, settings.new)
        after = 0
        while rows := mapped_ids(connection, old, new, after, PAGE):
            after = rows[-1].number
            records = [(row.item_id, row.old, row.new) for row in rows]
            parts.append(pl.DataFrame(records, schema=schema, orient="row"))
    table = pl.concat(parts)
    with written_aside(out) as path:
        table.write_parquet(path)
    output.print(f"{out}: {table.height:,} items, {table['new'].null_count():,} without a new ID")


def export(settings: ExportSettings) -> None:
    """Write the whole registry to a file: all tokenizers, IDs, titles, removed items too.

    Example: semid export --out registry.parquet
    """
    from data_prep.storage.files import check_writable, written_aside
    from service.registry import open_database
    from service.registry.exchange import export_registry

    out = settings.out
    check_writable(out)
    url = settings.database
    with open_database(url, new=False) as opened, opened.refusing(), written_aside(out) as path:
        rows = export_registry(opened, path)
    output.print(f"{out}: {rows:,} IDs")


def import_(settings: ImportSettings) -> None:
    """Add an exported registry to a database that is empty or agrees with it.

    If an item of the database differs in the file, nothing is imported.

    Example: semid import registry.parquet --database postgresql+psycopg://semid@db/semid
    """
    from data_prep.storage.files import existing_file
    from service.registry import open_database
    from service.registry.exchange import import_registry

    existing_file(settings.file)
    with open_database(settings.database) as opened, opened.refusing():
        added = import_registry(opened, settings.file)
    output.print(f"{opened.name}: {added:,} IDs added")
