"""Options and readings that the commands on tables in parts share."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data_prep.errors import InputError
from service.settings import CommandSettings, option

if TYPE_CHECKING:
    from data_prep.mapping.column_names import Guess
    from data_prep.parts.items import ItemParts
    from data_prep.parts.table import Parts
    from service.cli.terminal.options import CatalogueOptions

__all__ = [
    "ANY_ITEMS",
    "ITEMS",
    "PartsOptions",
    "guessed_mapping",
    "is_folder",
    "only_one_file",
    "titled_items",
]

ITEMS = (
    "Catalogue: .parquet, .csv or .jsonl (.gz). With a folder as --out also a folder of parquet "
    "files, a pattern in quotes, or a URL, as s3://bucket/items."
)
ANY_ITEMS = (
    "Catalogue: .parquet, .csv or .jsonl (.gz); a folder of parquet files, a pattern in quotes, or "
    "a URL, as s3://bucket/items."
)
PARTS = "Catalogues in parts (a folder as --out)"
VECTOR_ROWS, TEXT_ROWS = 2**19, 2**15


class PartsOptions(CommandSettings):
    """Options of a run that writes numbered parts to a folder."""

    engine: Literal["local", "ray"] = option(
        "local: this machine; ray: a Ray cluster, the one that RAY_ADDRESS names.",
        "local",
        panel=PARTS,
    )
    workers: int = option(
        "Processes that hold a model each; 0 for one that uses all cores, or for as many as a Ray "
        "cluster has cores or GPUs for.",
        0,
        ge=0,
        le=4096,
        panel=PARTS,
    )
    part_rows: int = option(
        "Rows of a part, about; a part is what a stopped run may lose.",
        0,
        ge=0,
        default_text=f"{VECTOR_ROWS:,} of vectors, {TEXT_ROWS:,} of texts",
        panel=PARTS,
    )

    def rows_of_a_part(self, *, vectors: bool) -> int:
        """Return the option, or its default."""
        return self.part_rows or (VECTOR_ROWS if vectors else TEXT_ROWS)


def is_folder(out: Path) -> bool:
    """Return whether an output is a folder of parts: it is there, or has a name without ending."""
    return out.is_dir() or not (out.suffix or out.exists())


def only_one_file(items: str, out: Path) -> Path:
    """Return the path of a catalogue that is read whole.

    Raises:
        InputError: it is a folder, a pattern or a URL.
    """
    pattern = any(sign in items for sign in "*?[") and not Path(items).exists()
    if "://" in items or pattern or Path(items).is_dir():
        raise InputError(
            f"{items} is read in parts, and {out} is a file; give --out a folder, as "
            f"{out.with_suffix('')}"
        )
    return Path(items)


def guessed_mapping(settings: "CatalogueOptions", table: "Parts") -> "Guess":
    """Return the mapping of a catalogue in parts: what options say, and what names tell.

    Raises:
        InputError: an option names a column that is not there, or there is no such preset.
    """
    from data_prep.mapping.column_mapping import check_columns
    from data_prep.readers.table_files import TableFile
    from service.cli.terminal.options import tell_guess

    check_columns(table.columns, settings.column, settings.drop, table.source)
    head = next(table.batches(0, min(100, table.rows), 100))
    guess = settings.guess(TableFile(table.source, head, None, "parquet"))
    tell_guess(guess, settings.column)
    return guess


def titled_items(items: str, renamed: dict[str, str]) -> "ItemParts":
    """Open a catalogue in parts for its titles.

    Raises:
        InputError: its files cannot be read, or a renamed column is not there.
    """
    from data_prep.mapping.column_mapping import ColumnMapping, check_columns
    from data_prep.parts.items import ItemParts
    from data_prep.parts.table import Parts

    table = Parts.of(items)
    check_columns(table.columns, renamed, (), items)
    return ItemParts(table, None, ColumnMapping(columns=renamed), texts=True)
