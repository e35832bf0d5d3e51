"""`semid tokenize`: semantic IDs for a whole catalogue."""

from contextlib import nullcontext
from pathlib import Path

from service.cli.terminal.console import bar, output, print_json
from service.cli.terminal.options import (
    CATALOGUE,
    VECTORS,
    CacheOption,
    CatalogueOptions,
    DeviceOption,
    JsonOption,
    QuietOption,
)
from service.settings import argument, option
from tokenizer.config import CATALOGUE_BATCH

__all__ = ["TokenizeSettings", "tokenize"]


class TokenizeSettings(DeviceOption, CacheOption, CatalogueOptions, QuietOption, JsonOption):
    """The options of `semid tokenize`."""

    command = "tokenize"
    after_stop = "{out} is unchanged; the same command starts again with the cached vectors"

    items: Path = argument(CATALOGUE)
    tokenizer: Path = option("Folder that semid fit wrote.")
    out: Path = option("Parquet file for the IDs.")
    known: Path | None = option(
        "IDs given before; they stay unchanged and come first in --out.", None
    )
    vectors: Path | None = option(VECTORS, None)
    batch_size: int = option(
        "Items in memory at once; the codes do not depend on it.", CATALOGUE_BATCH, ge=1
    )
    overwrite: bool = option("Replace --out even if IDs in it are lost.", False)


def tokenize(settings: TokenizeSettings) -> None:
    """Give every item of a catalogue its semantic ID.

    If several items have the same codes, the later ones get a suffix, or other codes if the
    tokenizer was fitted with --policy reassign. Each ID belongs to one item and never changes: when
    the catalogue grows, give the last table to --known.

    Example: semid tokenize data/beauty/items.parquet --tokenizer tokenizers/beauty --out
    beauty-ids.parquet
    """
    from data_prep.readers.catalogue import read_vectors
    from data_prep.storage.files import check_writable, written_aside
    from service.cli.data.catalogue import open_cache
    from tokenizer.offline.catalogue import tokenize_catalogue
    from tokenizer.offline.id_table import check_keeps, read_ids
    from tokenizer.pipeline import Pipeline

    device = settings.torch_device()
    frame, out = settings.read(settings.items), settings.out
    check_writable(out)
    pipeline = Pipeline.load(settings.tokenizer, device)
    given = None if settings.known is None else read_ids(settings.known, pipeline)
    own = None if settings.vectors is None else read_vectors(settings.vectors)
    opened = open_cache(settings.cache) if own is None else nullcontext()
    with opened as kept, bar("tokenizing", frame.height) as progress:
        ids = tokenize_catalogue(frame, pipeline, given, own, settings.batch_size, kept, progress)
    if not settings.overwrite:
        check_keeps(out, ids)
    with written_aside(out) as path:
        ids.write_parquet(path)
    new = ids.height - (0 if given is None else given.height)
    suffixed = int((ids["suffix"] > 0).sum())
    if settings.as_json:
        body = {"out": str(out), "tokenizer": pipeline.fingerprint, "ids": ids.height, "new": new}
        print_json({**body, "with_suffix": suffixed})
        return
    told = f"{out}: {ids.height:,} IDs, {new:,} of them new"
    if pipeline.config.policy == "suffix":
        told += f", {suffixed:,} with a suffix"
    output.print(told)
