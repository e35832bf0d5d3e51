"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from data_prep.errors import InputError

__all__ = [
    "CacheOption",
    "CategorySeparatorOption",
    "ColumnOption",
    "DatabaseOption",
    "DeviceOption",
    "DeviceSetting",
    "EncoderOption",
    "SetOption",
    "column_map",
    "option_map",
]

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
EncoderOption = Annotated[
    str, typer.Option(help="minilm, hashing, or a sentence-transformers model.")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        help="URL of the registry, SQLite or PostgreSQL; also as SEMID_SERVE_DATABASE or in the "
        "table serve of semid.toml.",
        show_default="sqlite:///semid.db",
    ),
]
DeviceOption = Annotated[
    str, typer.Option(help="cpu, cuda, cuda:1, or auto: a GPU where there is one.")
]
DeviceSetting = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1, or auto: a GPU where there is one.", show_default="cpu"),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any field of the configuration, as radius=huber, network=identity, search_beam=5. "
        "May be given often; a wrong name lists them all.",
        metavar="NAME=VALUE",
    ),
]


def column_map(columns: Sequence[str] | None) -> dict[str, str]:
    """Read `--column OURS=THEIRS` options.

    Raises:
        InputError: one has no `=`.
    """
    return _pairs("--column", columns, "OURS=THEIRS, such as item_id=sku")


def option_map(options: Sequence[str] | None) -> dict[str, str]:
    """Read `--set NAME=VALUE` options.

    Raises:
        InputError: one has no `=`.
    """
    return _pairs("--set", options, "NAME=VALUE, such as radius=huber")


def _pairs(option: str, given: Sequence[str] | None, form: str) -> dict[str, str]:
    pairs = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InputError(f"{option} {text} is not {form}")
        pairs[name] = value
    return pairs
