"""`semid report`: one page about a tokenizer."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import InputError
from service.cli.terminal.console import bar, output
from service.cli.terminal.options import (
    CATALOGUE,
    VECTORS,
    CacheOption,
    CatalogueOptions,
    QuietOption,
    ThreadsOption,
)
from service.settings import argument, option

if TYPE_CHECKING:
    import polars as pl

    from tokenizer.pipeline import Pipeline
    from tokenizer.report.coded_items import CodedItems

__all__ = ["ReportSettings", "report"]


class ReportSettings(ThreadsOption, CacheOption, CatalogueOptions, QuietOption):
    """The options of `semid report`."""

    command = "report"

    tokenizer: Path = argument("Folder that semid fit wrote.")
    out: Path = option("HTML file for the page.")
    items: Path | None = option(CATALOGUE, None)
    ids: Path | None = option(
        "IDs of the items, from semid tokenize; then nothing is tokenized again.", None
    )
    vectors: Path | None = option(VECTORS, None)
    other: Path | None = option("Folder of another tokenizer, to compare with.", None)
    other_ids: Path | None = option("IDs of the items by the other tokenizer.", None)


def report(settings: ReportSettings) -> None:
    """Write one page that shows a tokenizer's figures, training, codebooks and items.

    The page is a single file that needs no network. Without --items and --ids it shows what is in
    the tokenizer's folder. With items it also shows their fields and texts, the use of each code, a
    map with a search, the families of prefixes by name, the largest collisions, and how many of the
    nearest items codes find. With --ids alone it names items by their ids. --other compares.

    Example: semid report tokenizers/beauty --items data/beauty/items.parquet --ids
    beauty-ids.parquet --out beauty.html
    """
    from data_prep.storage.files import check_writable, written_aside
    from tokenizer.artifact import load
    from tokenizer.pipeline import Pipeline
    from tokenizer.report.content import content_of
    from tokenizer.report.tokenizer_page import report as page_of

    settings.use_threads()
    out, frame = settings.out, None
    if out.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"--out {out} is not an .html file; name one, such as report.html")
    if settings.vectors is not None and settings.items is None and settings.ids is None:
        raise InputError("--vectors needs --items or --ids")
    if settings.other is None and settings.other_ids is not None:
        raise InputError("--other-ids needs --other, the folder of their tokenizer")
    loaded = load(settings.tokenizer)
    if settings.items is not None:
        frame = settings.read(settings.items, loaded.config)
    if settings.other is not None and frame is None and None in (settings.ids, settings.other_ids):
        raise InputError("--other needs --items, or both --ids and --other-ids")
    check_writable(out)
    pipeline = Pipeline(loaded)
    coded = _coded(settings, pipeline, frame, settings.ids)
    other = None
    if settings.other is not None:
        second = load(settings.other)
        found = _coded(settings, Pipeline(second), frame, settings.other_ids)
        other = None if found is None else (second, found)
    content = None if frame is None else content_of(frame, pipeline)
    with written_aside(out) as path:
        path.write_text(page_of(loaded, coded, content, other), encoding="utf-8")
    told = "the tokenizer alone" if coded is None else f"{len(coded.codes):,} items"
    output.print(f"{out}: report on {told}")


def _coded(
    settings: ReportSettings, pipeline: "Pipeline", items: "pl.DataFrame | None", ids: Path | None
) -> "CodedItems | None":
    """Return the items with their codes by a tokenizer; None without items and IDs."""
    from data_prep.embedding.embed import EmbeddingCache, default_cache_folder
    from data_prep.readers.catalogue import read_vectors
    from service.cli.data.catalogue import open_cache
    from tokenizer.offline.catalogue import tokenize_catalogue
    from tokenizer.offline.id_table import read_ids
    from tokenizer.prefixes.directions import known_directions
    from tokenizer.report.coded_items import CodedItems

    own = None if settings.vectors is None else read_vectors(settings.vectors)
    if ids is None:
        if items is None:
            return None
        opened = open_cache(settings.cache) if own is None else nullcontext()
        with opened as kept, bar("tokenizing", items.height) as progress:
            table = tokenize_catalogue(items, pipeline, vectors=own, cache=kept, progress=progress)
    else:
        table = read_ids(ids, pipeline)
    folder = settings.cache or default_cache_folder()
    with EmbeddingCache(folder) if EmbeddingCache.is_there(folder) else nullcontext() as kept:
        directions = known_directions(table["item_id"], items, own, pipeline, kept)
    return CodedItems.of(table, items, directions)
