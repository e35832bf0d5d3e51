"""Options that several commands share."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.encoders import DEFAULT_ENCODER
from data_prep.errors import InputError
from service.settings import CommandSettings, option

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "CacheOption",
    "CatalogueOptions",
    "ConfigurationOption",
    "DeviceOption",
    "EncoderOption",
    "JsonOption",
    "QuietOption",
]

CATALOGUE = "Catalogue: .parquet, .csv or .jsonl (.gz)"
VECTORS = "Your own vectors (parquet: item_id, vector) instead of texts."
READING, TEXTS, PRINTING = "Reading the catalogue", "Texts and vectors", "What is printed"


class CatalogueOptions(CommandSettings):
    """How a catalogue's columns are read."""

    column: dict[str, str] = option(
        "Read our column OURS from the file's THEIRS, as item_id=sku. May be given often.",
        {},
        metavar="OURS=THEIRS",
        panel=READING,
    )
    category_separator: str = option(
        "Splits a category path that is one text, as in 'Beauty > Skin Care'.", ">", panel=READING
    )

    def read(self, path: Path) -> "pl.DataFrame":
        """Return the catalogue at `path`.

        Raises:
            InputError: it cannot be read.
        """
        from data_prep.readers.catalogue import read_items

        return read_items(path, self.column, self.category_separator)


class CacheOption(CommandSettings):
    """Where vectors of texts are kept."""

    cache: Path | None = option(
        "Folder that keeps vectors of texts, so that none is made twice.",
        None,
        default_text="$SEMID_CACHE or ~/.cache/semid",
        panel=TEXTS,
    )


class EncoderOption(CommandSettings):
    """What makes vectors of texts."""

    encoder: str = option(
        "minilm, hashing, or a sentence-transformers model.", DEFAULT_ENCODER, panel=TEXTS
    )


class DeviceOption(CommandSettings):
    """Where is computed."""

    device: str = option("cpu, cuda or cuda:1.", "cpu")

    def check_device(self) -> None:
        """See that torch has the device.

        Raises:
            InputError: it has not, or there is no such kind of device.
        """
        import torch

        found = re.fullmatch(r"cpu|cuda(?::([0-9]{1,4}))?", self.device)
        if found is None:
            raise InputError(f"--device {self.device}: give cpu, cuda, or one of several as cuda:1")
        seen = torch.cuda.device_count()
        if self.device != "cpu" and int(found[1] or 0) >= seen:
            there = f"there are cuda:0 to cuda:{seen - 1}" if seen else "leave it out"
            raise InputError(
                f"--device {self.device}: torch sees {seen} accelerators here; {there}"
            )


class ConfigurationOption(CommandSettings):
    """Fields of a configuration that have no option of their own."""

    options: dict[str, Any] = option(
        "Any field of the configuration, as radius=huber, network=identity, search_beam=5. "
        "May be given often; a wrong name lists them all. In semid.toml a table, options.",
        {},
        name="--set",
        metavar="NAME=VALUE",
    )


class QuietOption(CommandSettings):
    """Whether progress and results are printed."""

    quiet: bool = option("Print warnings and errors alone.", False, panel=PRINTING)


class JsonOption(CommandSettings):
    """How results are printed."""

    as_json: bool = option("Print JSON, for scripts.", False, name="--json", panel=PRINTING)
