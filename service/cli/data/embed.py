"""`semid embed`: content texts → vectors in a file."""

from pathlib import Path

from data_prep.text import DEFAULT_FIELDS
from service.cli.terminal.console import output
from service.cli.terminal.options import (
    CATALOGUE,
    TEXTS,
    CacheOption,
    CatalogueOptions,
    DeviceOption,
    EncoderOption,
    QuietOption,
)
from service.settings import Commas, argument, option

__all__ = ["EmbedSettings", "TextOptions", "embed"]


class TextOptions(EncoderOption, CacheOption):
    """Options that choose the items' texts and their encoder."""

    text_fields: Commas = option(
        "Fields that make the text, in order, joined by commas.",
        DEFAULT_FIELDS,
        min_length=1,
        panel=TEXTS,
    )


class EmbedSettings(TextOptions, DeviceOption, CatalogueOptions, QuietOption):
    """The options of `semid embed`."""

    command = "embed"
    after_stop = "the same command resumes from the vectors in the cache"

    items: Path = argument(CATALOGUE)
    out: Path = option("Parquet file for item_id and vector.")


def embed(settings: EmbedSettings) -> None:
    """Write the vectors of a catalogue's texts to a file.

    `fit` and `tokenize` embed texts themselves; use this command if you need the vectors.
    """
    import polars as pl

    from data_prep.embedding.encoders import load_encoder
    from data_prep.storage.files import check_writable, written_aside
    from service.cli.data.catalogue import template_of, vectors_of_texts

    device = settings.torch_device()
    frame = settings.read(settings.items)
    check_writable(settings.out)
    template = template_of(settings.text_fields, frame)
    encoder = load_encoder(settings.encoder, device)
    vectors = vectors_of_texts(frame, template, encoder, settings.cache, settings.threads or None)
    written = pl.DataFrame({"item_id": frame["item_id"], "vector": vectors})
    with written_aside(settings.out) as path:
        written.write_parquet(path)
    output.print(f"{settings.out}: {len(vectors):,} vectors of {vectors.shape[1]} floats")
