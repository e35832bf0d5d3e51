"""`semid tokenize`: semantic IDs for a whole catalogue."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from service.cli.data.parts import ITEMS, PartsOptions, is_folder, only_one_file
from service.cli.terminal.console import bar, output, print_json
from service.cli.terminal.options import (
    VECTORS,
    CacheOption,
    CatalogueOptions,
    DeviceOption,
    JsonOption,
    QuietOption,
)
from service.settings import argument, option
from tokenizer.config import CATALOGUE_BATCH

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from tokenizer.pipeline import Pipeline

__all__ = ["TokenizeSettings", "tokenize"]


class TokenizeSettings(
    DeviceOption, CacheOption, PartsOptions, CatalogueOptions, QuietOption, JsonOption
):
    """The options of `semid tokenize`."""

    command = "tokenize"
    after_stop = (
        "a file {out} is unchanged, and the same command starts again with the cached vectors; a "
        "folder {out} keeps its finished parts, and the same command resumes"
    )

    items: str = argument(ITEMS)
    tokenizer: Path = option("Folder that semid fit wrote.")
    out: Path = option(
        "File for the IDs: .parquet, or .csv; or a folder (a name without ending) for numbered "
        "parts."
    )
    known: Path | None = option(
        "IDs given before, a file or folder; they stay unchanged and come first in --out. If it is "
        "the folder --out itself, new items get further parts.",
        None,
    )
    changes: Path | None = option(
        "Table of the items that are new, changed in content (their IDs stay) or vanished against "
        "--known: item_id, change, semantic_id. Needs the vectors of known items.",
        None,
    )
    vectors: str | None = option(
        f"{VECTORS} With a folder as --out, in the catalogue's order.", None
    )
    batch_size: int = option(
        "Items in memory at once; the codes do not depend on it.", CATALOGUE_BATCH, ge=1
    )
    overwrite: bool = option("Replace --out even if IDs in it are lost.", False)


def tokenize(settings: TokenizeSettings) -> None:
    """Give every item of a catalogue its semantic ID.

    If several items have the same codes, the later ones get a suffix, or other codes if the
    tokenizer was fitted with --policy reassign. Each ID belongs to one item and never changes: when
    the catalogue grows, give the last table to --known.

    A folder as --out takes catalogues of any size: they are read and written in parts, in constant
    memory, on one machine or a Ray cluster, and a stopped run resumes.

    Example: semid tokenize data/beauty/items.parquet --tokenizer tokenizers/beauty --out
    beauty-ids.parquet
    """
    from data_prep.readers.catalogue import read_vectors
    from data_prep.storage.files import check_writable, written_aside
    from service.cli.data.catalogue import open_cache
    from service.cli.data.table_output import check_ending, write_table
    from tokenizer.offline.catalogue import tokenize_catalogue
    from tokenizer.offline.id_table import check_keeps, read_ids
    from tokenizer.pipeline import Pipeline

    if is_folder(settings.out):
        from service.cli.tokenizers.tokenize_parts import tokenize_to_folder

        tokenize_to_folder(settings)
        return
    device = settings.torch_device()
    path = only_one_file(settings.items, settings.out)
    out = check_ending(settings.out)
    check_writable(out)
    if settings.changes is not None:
        check_writable(check_ending(settings.changes))
        if settings.known is None:
            raise InputError("--changes compares with the IDs of --known; give them")
    pipeline = Pipeline.load(settings.tokenizer, device)
    frame = settings.read(path, pipeline.config)
    given = None if settings.known is None else read_ids(settings.known, pipeline)
    own = None if settings.vectors is None else read_vectors(Path(settings.vectors))
    opened = open_cache(settings.cache) if own is None else nullcontext()
    with opened as kept, bar("tokenizing", frame.height) as progress:
        ids = tokenize_catalogue(frame, pipeline, given, own, settings.batch_size, kept, progress)
    if not settings.overwrite:
        check_keeps(out, ids)
    with written_aside(out) as path:
        write_table(ids, out, path)
    changes = None if given is None else _changes(settings, frame, given, ids, pipeline)
    new = ids.height - (0 if given is None else given.height)
    suffixed = int((ids["suffix"] > 0).sum())
    if settings.as_json:
        body = {"out": str(out), "tokenizer": pipeline.fingerprint, "ids": ids.height, "new": new}
        print_json({**body, "with_suffix": suffixed, "changes": changes})
        return
    told = f"{out}: {ids.height:,} IDs, {new:,} of them new"
    if pipeline.config.policy == "suffix":
        told += f", {suffixed:,} with a suffix"
    output.print(told)
    if changes is not None:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in changes.items())
        output.print(f"against {settings.known}: {counts}")


def _changes(
    settings: TokenizeSettings,
    items: "pl.DataFrame",
    known: "pl.DataFrame",
    ids: "pl.DataFrame",
    pipeline: "Pipeline",
) -> dict[str, int]:
    """Count what changed against --known, and write --changes.

    Changed contents are looked for only if --changes is given: they need vectors of known items.
    """
    from data_prep.storage.files import written_aside
    from service.cli.data.table_output import write_table
    from tokenizer.offline.known_items import changed_items, item_changes

    changed = None
    if settings.changes is not None:
        there = items.filter(items["item_id"].is_in(known["item_id"].implode()))
        changed = changed_items(
            known, there["item_id"].to_list(), _vectors(settings, there, pipeline), pipeline
        )
    found = item_changes(items, known, ids, changed)
    if settings.changes is not None:
        with written_aside(settings.changes) as path:
            write_table(found, settings.changes, path)
    kinds = ("new", "vanished") if changed is None else ("new", "changed", "vanished")
    return {kind: int((found["change"] == kind).sum()) for kind in kinds}


def _vectors(
    settings: TokenizeSettings, items: "pl.DataFrame", pipeline: "Pipeline"
) -> "NDArray[np.float32]":
    from service.cli.data.catalogue import open_cache
    from service.cli.data.training_items import own_vectors

    if settings.vectors is not None:
        return own_vectors(items, settings.vectors)
    texts = pipeline.texts(items.iter_rows(named=True))
    with open_cache(settings.cache) as kept, bar("comparing contents", len(texts)) as progress:
        return pipeline.embed(texts, kept, progress)
