"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from data_prep.embedding.encoders import DEFAULT_ENCODER
from data_prep.threads import use_threads
from service.cli.terminal.console import progress
from service.settings import CommandSettings, Commas, option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from data_prep.embedding.model_settings import ModelSettings
    from data_prep.mapping.column_mapping import ColumnMapping
    from data_prep.mapping.column_names import Guess
    from data_prep.readers.table_files import TableFile
    from tokenizer.artifact import TokenizerConfig

Dedupe = Literal["refuse", "first", "longest"]
ControlCharacters = Literal["refuse", "blank"]

__all__ = [
    "CacheOption",
    "CatalogueOptions",
    "ConfigurationOption",
    "DeviceOption",
    "EncoderOption",
    "JsonOption",
    "QuietOption",
    "ThreadsOption",
    "tell_guess",
]

CATALOGUE = "Catalogue: .csv, .tsv, .jsonl, .json (.gz), .parquet, .xlsx, or - for standard input"
VECTORS = "Your own vectors (parquet: item_id, vector) instead of texts."
READING, TEXTS, PRINTING = "Reading the catalogue", "Texts and vectors", "What is printed"


class CatalogueOptions(CommandSettings):
    """Options for reading a catalogue's file and its columns."""

    column: dict[str, str] = option(
        "Read semid's column OURS from the file's column THEIRS, such as item_id=sku. May be "
        "repeated.",
        {},
        metavar="OURS=THEIRS",
        panel=READING,
    )
    preset: str = option(
        "Kind of file whose columns are known: shopify, woocommerce, merchant, movielens, amazon, "
        "amazon2023, books.",
        "",
        default_text="found by the columns",
        panel=READING,
    )
    drop: Commas = option("Columns that are left out, joined by commas.", (), panel=READING)
    dedupe: Dedupe | None = option(
        "Rows that share an item_id: keep the first one, or the one with the longest text.",
        None,
        default_text="refuse",
        panel=READING,
    )
    skip_empty: bool = option(
        "Leave out items without text, which are refused otherwise.", False, panel=READING
    )
    control_characters: ControlCharacters | None = option(
        "Control characters in texts: refuse those that a title may not have, or put a blank for "
        "each.",
        None,
        default_text="refuse",
        panel=READING,
    )
    category_separator: str | None = option(
        "Separator in a category path that is one text, as in 'Beauty > Skin Care'.",
        None,
        default_text=">",
        panel=READING,
    )
    encoding: str = option(
        "Encoding of a file of texts, as utf-8, cp1252 or utf-16.",
        "",
        default_text="found in the file",
        panel=READING,
    )
    separator: str = option(
        "Separator of CSV: comma, semicolon, tab, pipe, or one character.",
        "",
        default_text="found in the file",
        panel=READING,
    )

    def open(self, path: Path) -> "TableFile":
        """Return the table at `path` as it stands in the file.

        Raises:
            InputError: it cannot be read, or lacks a column that an option names.
        """
        from data_prep.mapping.column_mapping import check_columns
        from data_prep.readers.table_files import read_table_file

        file = read_table_file(path, self.encoding, self.separator)
        check_columns(file.frame.columns, self.column, self.drop, file.name)
        return file

    def guess(self, file: "TableFile") -> "Guess":
        """Return the mapping of a file: what the options say, and for the rest what names tell.

        Raises:
            InputError: there is no such preset.
        """
        from data_prep.mapping.column_names import Guess, guess_mapping

        left = [name for name in file.frame.columns if name not in self.drop]
        found = guess_mapping(left, self.preset)
        return Guess(found.preset, self.changed(found.mapping), found.text_fields)

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of the file at `path`; `-` is standard input."""
        from data_prep.input_files.standard_input import file_of
        from data_prep.storage.record import file_digest

        return file_digest(file_of(path))

    def items_of(
        self, file: "TableFile", guess: "Guess", text_fields: "Sequence[str]" = ()
    ) -> "pl.DataFrame":
        """Return the items of a file by a guessed mapping.

        Args:
            text_fields: fields that make the text. Only they, the id and the title must be
                readable.

        Raises:
            InputError: a column of ids is not found, or the items cannot be read.
        """
        from data_prep.errors import InputError
        from data_prep.mapping.column_names import looks_like_ids
        from data_prep.readers.catalogue import items_of
        from data_prep.text import TextTemplate

        if "item_id" not in guess.mapping.frame(file.frame).columns and file.frame.height:
            better = looks_like_ids(file.frame)
            hint = "name it with --column item_id=NAME"
            if better is not None:
                hint = f"did you mean --column item_id={better}?"
            raise InputError(
                f"{file.name}: no column 'item_id'; it has {', '.join(file.frame.columns)}; {hint}"
            )
        template = TextTemplate(fields=tuple(text_fields or guess.text_fields), markup="strip")
        return items_of(file, guess.mapping, ("title", *template.fields), template)

    def read_guessed(
        self, path: Path, text_fields: "Sequence[str]" = ()
    ) -> "tuple[pl.DataFrame, Guess]":
        """Return the catalogue at `path` and its guessed mapping, which is printed.

        Args:
            text_fields: fields that make the text; empty for the guessed ones.

        Raises:
            InputError: as `items_of`.
        """
        file = self.open(path)
        guess = self.guess(file)
        tell_guess(guess, self.column)
        return self.items_of(file, guess, text_fields or guess.text_fields), guess

    def read(self, path: Path, fitted: "TokenizerConfig | None" = None) -> "pl.DataFrame":
        """Return the catalogue at `path`, its columns by the tokenizer's mapping or by their names.

        Args:
            fitted: configuration of the tokenizer that reads the items; None if there is none.

        Raises:
            InputError: it cannot be read.
        """
        from data_prep.mapping.column_mapping import ColumnMapping
        from data_prep.readers.catalogue import items_of

        if fitted is None or self.preset:
            return self.read_guessed(path)[0]
        mapping = self.changed(fitted.mapping or ColumnMapping())
        template = fitted.text if fitted.encoder is not None else None
        return items_of(self.open(path), mapping, ("title", *fitted.text.fields), template)

    def changed(self, mapping: "ColumnMapping") -> "ColumnMapping":
        """Return a mapping with what the options say."""
        return mapping.changed(
            self.column,
            self.drop,
            self.category_separator,
            self.dedupe,
            skip_empty=self.skip_empty,
            control_characters=self.control_characters,
        )


def tell_guess(guess: "Guess", asked: "Mapping[str, str]") -> None:
    """Print which columns were taken by a preset or by their names."""
    taken = {ours: theirs for ours, theirs in guess.mapping.columns.items() if ours not in asked}
    if taken:
        pairs = ", ".join(f"{ours}={theirs}" for ours, theirs in taken.items())
        source = "by their names" if guess.preset is None else f"by preset {guess.preset}"
        progress.print(f"columns {source}: {pairs}; --column changes them")


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
        "minilm, ngrams, words, hashing, or a sentence-transformers model.",
        DEFAULT_ENCODER,
        panel=TEXTS,
    )
    encoder_revision: str = option(
        "Branch, tag or commit of a sentence-transformers model that is downloaded.",
        "",
        default_text="the newest",
        panel=TEXTS,
    )
    encoder_prompt: str = option(
        "Name of one of the model's prompts, or a text to put before every text.",
        "",
        default_text="the model's own default",
        panel=TEXTS,
    )
    truncate_dim: int = option(
        "Numbers of a vector that are kept, for models trained for it; 0 for all.",
        0,
        ge=0,
        le=65_536,
        panel=TEXTS,
    )

    def model_settings(self) -> "ModelSettings":
        """Return how a sentence-transformers model is used."""
        from data_prep.embedding.model_settings import ModelSettings

        return ModelSettings(
            hub_revision=self.encoder_revision,
            prompt=self.encoder_prompt,
            truncate_dim=self.truncate_dim,
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
