"""Options and readings that the commands on tables in parts share."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data_prep.errors import InputError
from service.settings import CommandSettings, option

if TYPE_CHECKING:
    from data_prep.parts.items import ItemParts

__all__ = ["ANY_ITEMS", "ITEMS", "PartsOptions", "is_folder", "item_parts", "only_one_file"]

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


def item_parts(
    items: str, vectors: str | None, renamed: dict[str, str], separator: str
) -> "ItemParts":
    """Open a catalogue in parts.

    Raises:
        InputError: its files cannot be read, or a renamed column is not there.
    """
    from data_prep.parts.items import ItemParts
    from data_prep.parts.table import Parts

    table = Parts.of(items)
    for ours, theirs in renamed.items():
        if theirs not in table.columns:
            raise InputError(
                f"{items}: no column {theirs!r} to read as {ours!r}; it has "
                f"{', '.join(table.columns)}"
            )
    return ItemParts(table, None if vectors is None else Parts.of(vectors), renamed, separator)
