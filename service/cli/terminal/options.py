"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.embedding.encoders import DEFAULT_ENCODER
from data_prep.threads import use_threads
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
    "ThreadsOption",
]

CATALOGUE = "Catalogue: .parquet, .csv or .jsonl (.gz)"
VECTORS = "Your own vectors (parquet: item_id, vector) instead of texts."
READING, TEXTS, PRINTING = "Reading the catalogue", "Texts and vectors", "What is printed"


class CatalogueOptions(CommandSettings):
    """Options for reading a catalogue's columns."""

    column: dict[str, str] = option(
        "Read semid's column OURS from the file's column THEIRS, such as item_id=sku. May be "
        "repeated.",
        {},
        metavar="OURS=THEIRS",
        panel=READING,
    )
    category_separator: str = option(
        "Separator in a category path that is one text, as in 'Beauty > Skin Care'.",
        ">",
        panel=READING,
    )

    def read(self, path: Path) -> "pl.DataFrame":
        """Return the catalogue at `path`.

        Raises:
            InputError: it cannot be read.
        """
        from data_prep.readers.catalogue import read_items

        return read_items(path, self.column, self.category_separator)


class CacheOption(CommandSettings):
    """The option for the cache of text vectors."""

    cache: Path | None = option(
        "Folder that caches the vectors of texts.",
        None,
        default_text="$SEMID_CACHE or ~/.cache/semid",
        panel=TEXTS,
    )


class EncoderOption(CommandSettings):
    """The option for the text encoder."""

    encoder: str = option(
        "minilm, hashing, or a sentence-transformers model.", DEFAULT_ENCODER, panel=TEXTS
    )


class ThreadsOption(CommandSettings):
    """The option for the threads that compute."""

    threads: int = option(
        "Threads that compute. 0: OMP_NUM_THREADS if it is set, else as many as the process may "
        "use, also by its container's quota.",
        0,
        ge=0,
        le=1024,
    )

    def use_threads(self) -> None:
        """Set the number of threads that compute in this process."""
        use_threads(self.threads)


class DeviceOption(ThreadsOption):
    """Options for the device and the threads that compute."""

    device: str = option("cpu, cuda, cuda:1, or auto (a GPU if there is one).", "cpu")

    def torch_device(self) -> str:
        """Set the number of threads, and return the device by torch's name.

        Raises:
            InputError: torch does not see the device.
        """
        self.use_threads()

        from data_prep.embedding.devices import resolve_device

        return resolve_device(self.device)


class ConfigurationOption(CommandSettings):
    """The option that sets any further field of a configuration."""

    options: dict[str, Any] = option(
        "Set a field of the configuration, such as radius=huber, network=identity, search_beam=5. "
        "May be repeated; a wrong name lists all fields. In semid.toml: the table options.",
        {},
        name="--set",
        metavar="NAME=VALUE",
    )


class QuietOption(CommandSettings):
    """The option that suppresses progress and results."""

    quiet: bool = option("Print only warnings and errors.", False, panel=PRINTING)


class JsonOption(CommandSettings):
    """The option that prints results as JSON."""

    as_json: bool = option("Print JSON, for scripts.", False, name="--json", panel=PRINTING)
