"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from data_prep.errors import InputError

__all__ = ["CacheOption", "CategorySeparatorOption", "ColumnOption", "column_map"]

ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="Read our column OURS from the file's THEIRS, as item_id=sku. May be given often.",
        metavar="OURS=THEIRS",
    ),
]
CategorySeparatorOption = Annotated[
    str, typer.Option(help="Splits a category path that is one text, as in 'Beauty > Skin Care'.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder that keeps vectors of texts, so that none is made twice.",
        show_default="$SEMID_CACHE or ~/.cache/semid",
    ),
]


def column_map(columns: Sequence[str] | None) -> dict[str, str]:
    """Read `--column OURS=THEIRS` options.

    Raises:
        InputError: one has no `=`.
    """
    mapping = {}
    for column in columns or ():
        ours, equals, theirs = column.partition("=")
        if not (ours and equals and theirs):
            raise InputError(f"--column {column} is not OURS=THEIRS, such as item_id=sku")
        mapping[ours] = theirs
    return mapping
