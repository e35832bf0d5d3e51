"""`semid embed`: content texts → vectors in a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
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

if TYPE_CHECKING:
    import polars as pl

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
    image_column: str = option(
        "Encode images instead of texts: the column that names their files, relative to the "
        "catalogue. Needs a model that reads images.",
        "",
        panel=TEXTS,
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
    if settings.image_column and is_folder(settings.out):
        raise InputError("--image-column writes one file; give --out a name with .parquet")
    if is_folder(settings.out):
        _to_folder(settings, device)
        return
    path = only_one_file(settings.items, settings.out)
    frame, guessed = settings.read_guessed(path, settings.text_fields)
    check_writable(settings.out)
    if settings.image_column:
        _images(settings, frame, path.parent, device)
        return
    template = template_of(settings.text_fields or guessed.text_fields, frame)
    threads = settings.threads or None
    _, vectors = encoded_items(
        frame, template, settings.encoder, settings.cache, device, threads,
        settings.model_settings(),
    )  # fmt: skip
    written = pl.DataFrame({"item_id": frame["item_id"], "vector": vectors})
    with written_aside(settings.out) as path:
        written.write_parquet(path)
    output.print(f"{settings.out}: {len(vectors):,} vectors of {vectors.shape[1]} floats")


def _images(settings: EmbedSettings, items: "pl.DataFrame", folder: Path, device: str) -> None:
    import polars as pl

    from data_prep.embedding.encoders import load_encoder
    from data_prep.embedding.images import embed_images, image_files
    from data_prep.storage.files import written_aside

    if settings.image_column not in items.columns:
        raise InputError(
            f"{settings.items}: no column {settings.image_column!r}; it has "
            f"{', '.join(items.columns)}"
        )
    named = items[settings.image_column].cast(pl.String).to_list()
    files = image_files(named, items["item_id"].to_list(), folder)
    encoder = load_encoder(settings.encoder, device, settings=settings.model_settings())
    with bar(f"embedding images with {encoder.name}", len(files)) as progress:
        vectors = embed_images(files, encoder, progress)
    with written_aside(settings.out) as path:
        pl.DataFrame({"item_id": items["item_id"], "vector": vectors}).write_parquet(path)
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
        settings.model_settings(),
    )
    rows = settings.rows_of_a_part(vectors=False)
    workers = engine(settings.engine, settings.workers, device)
    with bar("embedding", table.rows) as progress:
        made = embed_parts(
            options, settings.out, workers, rows, progress, overwrite=settings.overwrite
        )
    output.print(f"{settings.out}: {made.rows:,} vectors in {len(made.parts)} parts")
