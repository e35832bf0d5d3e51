"""`semid embed`: content texts → vectors in a file."""

from pathlib import Path

from data_prep.text import DEFAULT_FIELDS
from service.cli.data.parts import ITEMS, PartsOptions, is_folder, only_one_file
from service.cli.terminal.console import bar, output
from service.cli.terminal.options import (
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
        (),
        default_text=f"{','.join(DEFAULT_FIELDS)}, or the preset's",
        panel=TEXTS,
    )


class EmbedSettings(TextOptions, DeviceOption, PartsOptions, CatalogueOptions, QuietOption):
    """The options of `semid embed`."""

    command = "embed"
    after_stop = "the same command resumes from the cached vectors, or from the parts in {out}"

    items: str = argument(ITEMS)
    out: Path = option(
        "Parquet file for item_id and vector, or a folder (a name without ending) for parts."
    )
    overwrite: bool = option("Replace the parts of another run in a folder --out.", False)


def embed(settings: EmbedSettings) -> None:
    """Write the vectors of a catalogue's texts to a file.

    `fit` and `tokenize` embed texts themselves; use this command if you need the vectors.
    """
    import polars as pl

    from data_prep.storage.files import check_writable, written_aside
    from service.cli.data.catalogue import encoded_items, template_of

    device = settings.torch_device()
    if is_folder(settings.out):
        _to_folder(settings, device)
        return
    path = only_one_file(settings.items, settings.out)
    frame, guessed = settings.read_guessed(path, settings.text_fields)
    check_writable(settings.out)
    template = template_of(settings.text_fields or guessed.text_fields, frame)
    threads = settings.threads or None
    _, vectors = encoded_items(frame, template, settings.encoder, settings.cache, device, threads)
    written = pl.DataFrame({"item_id": frame["item_id"], "vector": vectors})
    with written_aside(settings.out) as path:
        written.write_parquet(path)
    output.print(f"{settings.out}: {len(vectors):,} vectors of {vectors.shape[1]} floats")


def _to_folder(settings: EmbedSettings, device: str) -> None:
    from data_prep.embedding.embed import default_cache_folder
    from data_prep.embedding.part_embedding import EmbedderOptions, embed_parts
    from data_prep.parts.engines import engine
    from data_prep.parts.items import ItemParts
    from data_prep.parts.table import Parts
    from data_prep.tables import ITEMS as FIELDS
    from data_prep.text import TextTemplate
    from service.cli.data.parts import guessed_mapping
    from tokenizer.config import CATALOGUE_BATCH

    table = Parts.of(settings.items)
    guess = guessed_mapping(settings, table)
    columns = dict.fromkeys((*FIELDS, *guess.mapping.columns, *table.columns))
    options = EmbedderOptions(
        ItemParts(table, None, guess.mapping),
        TextTemplate.of(settings.text_fields or guess.text_fields, list(columns)),
        settings.encoder,
        device,
        settings.cache or default_cache_folder(),
        CATALOGUE_BATCH,
    )
    rows = settings.rows_of_a_part(vectors=False)
    workers = engine(settings.engine, settings.workers, device)
    with bar("embedding", table.rows) as progress:
        made = embed_parts(
            options, settings.out, workers, rows, progress, overwrite=settings.overwrite
        )
    output.print(f"{settings.out}: {made.rows:,} vectors in {len(made.parts)} parts")
