"""`semid tokenize` with a folder as --out: a catalogue of any size, in parts."""

from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from service.cli.terminal.console import bar, output, print_json

if TYPE_CHECKING:
    from data_prep.parts.items import ItemParts
    from service.cli.tokenizers.tokenize import TokenizeSettings
    from tokenizer.pipeline import Pipeline

__all__ = ["tokenize_to_folder"]


def tokenize_to_folder(settings: "TokenizeSettings") -> None:
    """Tokenize as the settings say, to numbered parts.

    Raises:
        InputError: the catalogue, the tokenizer or the folder cannot be used.
    """
    from data_prep.embedding.embed import default_cache_folder
    from data_prep.parts.engines import engine
    from tokenizer.offline.coding_worker import CoderOptions
    from tokenizer.offline.id_parts import IdParts
    from tokenizer.offline.streamed import tokenize_parts
    from tokenizer.pipeline import Pipeline

    device = settings.torch_device()
    pipeline = Pipeline.load(settings.tokenizer, device)
    catalogue = _catalogue(settings, pipeline)
    known = None
    if settings.known is not None:
        known = IdParts.of(
            settings.known, pipeline.fingerprint, pipeline.levels, pipeline.codebook_size
        )
    options = CoderOptions(
        catalogue,
        Path(settings.tokenizer).resolve(),
        device,
        None if catalogue.has_vectors() else settings.cache or default_cache_folder(),
        settings.batch_size,
        latents=pipeline.config.policy == "reassign",
    )
    rows = settings.rows_of_a_part(vectors=catalogue.has_vectors())
    workers = engine(settings.engine, settings.workers, device)
    with bar("tokenizing", catalogue.items.rows) as progress:
        made = tokenize_parts(
            options, pipeline, settings.out, workers, rows, known, progress,
            overwrite=settings.overwrite,
        )  # fmt: skip
    parts = len(made.manifest.parts)
    if settings.as_json:
        print_json(
            {
                "out": str(settings.out),
                "tokenizer": pipeline.fingerprint,
                "ids": made.manifest.rows,
                "new": made.new,
                "with_suffix": made.with_suffix,
                "parts": parts,
            }
        )
        return
    told = f"{settings.out}: {made.manifest.rows:,} IDs, {made.new:,} of them new"
    if pipeline.config.policy == "suffix":
        told += f", {made.with_suffix:,} with a suffix"
    output.print(f"{told}, in {parts} parts")


def _catalogue(settings: "TokenizeSettings", pipeline: "Pipeline") -> "ItemParts":
    """Open the catalogue in parts, its columns by the tokenizer's mapping or by their names."""
    from data_prep.mapping.column_mapping import ColumnMapping, check_columns
    from data_prep.parts.items import ItemParts
    from data_prep.parts.table import Parts
    from service.cli.data.parts import guessed_mapping

    if settings.changes is not None:
        raise InputError("--changes is written for a file as --out; leave it out, or give a file")
    table = Parts.of(settings.items)
    if settings.preset:
        mapping = guessed_mapping(settings, table).mapping
    else:
        check_columns(table.columns, settings.column, settings.drop, table.source)
        fitted = pipeline.config.mapping or ColumnMapping()
        mapping = settings.changed(fitted)
    vectors = None if settings.vectors is None else Parts.of(settings.vectors)
    return ItemParts(table, vectors, mapping)
