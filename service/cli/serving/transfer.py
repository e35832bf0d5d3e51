"""`semid map-ids`, `semid export`, `semid import`: the registry in files."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data_prep.errors import InputError
from service.cli.data.parts import titled_items
from service.cli.terminal.console import bar, output
from service.settings import RegistrySettings, argument, option

if TYPE_CHECKING:
    from service.registry import Database
    from service.registry.exchange.import_file import ImportFile

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

    what: Literal["registry", "tokens"] = argument(
        "registry, or tokens: IDs as words for a language model.", "registry"
    )
    out: Path = option("Parquet file for the registry; folder for tokens.")
    ids: Path | None = option("For tokens: the table that semid tokenize wrote.", None)
    tokenizer: Path | None = option("For tokens: folder of the IDs' tokenizer.", None)


class ImportSettings(RegistrySettings):
    """The options of `semid import`."""

    command = "import"
    after_stop = "what is imported stays; the same command resumes"

    file: Path = argument("What semid export wrote, or IDs of semid tokenize, a file or a folder.")
    catalogue: str | None = option(
        "Titles of IDs that have none: a parquet file, a folder of them, a pattern or a URL.", None
    )
    column: dict[str, str] = option(
        "Our column OURS is THEIRS in the catalogue, as item_id=sku.", {}, metavar="OURS=THEIRS"
    )


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
        opened.faults_named(),
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

    `semid export tokens` writes a table's IDs as words for a language model, such as
    <a_12><b_240><c_3><d_77>: vocabulary.json (each word's number, from 0), tokens.txt (a word a
    line) and items.parquet (item_id, tokens, token_ids).

    Example: semid export --out registry.parquet

    Example: semid export tokens --ids beauty-ids.parquet --tokenizer tokenizers/beauty --out words
    """
    from data_prep.storage.files import check_writable, written_aside
    from service.registry import open_database
    from service.registry.exchange import export_registry

    out = settings.out
    if settings.what == "tokens":
        _export_tokens(settings)
        return
    check_writable(out)
    url = settings.database
    with open_database(url, new=False) as opened, opened.faults_named(), written_aside(out) as path:
        rows = export_registry(opened, path)
    output.print(f"{out}: {rows:,} IDs")


def _export_tokens(settings: ExportSettings) -> None:
    from data_prep.storage.files import check_writable
    from recsys.language_tokens import FILES, LanguageTokens
    from tokenizer.offline.id_table import read_ids
    from tokenizer.pipeline import Pipeline

    if settings.ids is None or settings.tokenizer is None:
        raise InputError("semid export tokens needs --ids and --tokenizer")
    check_writable(settings.out, FILES)
    pipeline = Pipeline.load(settings.tokenizer)
    ids = read_ids(settings.ids, pipeline)
    tokens = LanguageTokens.of(ids, pipeline.codebooks.shape[1])
    tokens.write(settings.out)
    output.print(f"{settings.out}: {len(tokens.words):,} words, {tokens.items.height:,} items")


def import_(settings: ImportSettings) -> None:
    """Add an exported registry, or IDs of semid tokenize, to a database.

    If an item of the database differs in the file, nothing is imported. Rows are added in
    transactions of 50,000; a stopped import resumes.

    Example: semid import ids --catalogue items --database postgresql+psycopg://semid@db/semid
    """
    from service.registry import open_database
    from service.registry.exchange import import_registry
    from service.registry.exchange.import_file import ImportFile
    from service.registry.exchange.titles import TitleStream

    given = ImportFile.of(settings.file)
    titles = None
    if settings.catalogue is not None:
        catalogue = titled_items(settings.catalogue, settings.column)
        titles = TitleStream(catalogue)
    with open_database(settings.database) as opened, opened.faults_named():
        with bar("importing", given.table.rows) as progress:
            added = import_registry(opened, given, progress, titles)
        if titles is not None and titles.missed:
            _set_titles(opened, given, settings)
    output.print(f"{opened.name}: {added:,} IDs added")


def _set_titles(opened: "Database", given: "ImportFile", settings: ImportSettings) -> None:
    """Set titles by item_id, where the catalogue has another order than the IDs."""
    from data_prep.parts.items import Piece
    from service.registry import Registry

    assert settings.catalogue is not None
    catalogue = titled_items(settings.catalogue, settings.column)
    every = Piece(0, 0, catalogue.items.rows)
    for fingerprint, levels in given.levels.items():
        registry = Registry(opened, fingerprint, levels)
        with bar("titles", catalogue.items.rows) as progress:
            for items in catalogue.with_texts(every, PAGE, ("title",)):
                titled = items.select("item_id", "title").drop_nulls()
                registry.set_titles([titled.rows()], lambda _: None)
                progress(items.height)
