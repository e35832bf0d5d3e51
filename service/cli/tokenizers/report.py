"""`semid report`: one page about a tokenizer."""

from contextlib import nullcontext
from pathlib import Path

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


def report(settings: ReportSettings) -> None:
    """Write one page that shows a tokenizer's figures, training, codebooks and items.

    The page is a single file without scripts and without links to the network. Without --items and
    --ids it shows what is in the tokenizer's folder. With items it also shows the use of each code,
    a map, the largest collisions, and examples of items under shared prefixes. With --ids alone it
    names items by their ids instead of titles.

    Example: semid report tokenizers/beauty --items data/beauty/items.parquet --ids
    beauty-ids.parquet --out beauty.html
    """
    from data_prep.readers.catalogue import read_vectors
    from data_prep.storage.files import check_writable, written_aside
    from service.cli.data.catalogue import open_cache
    from tokenizer.artifact import load
    from tokenizer.offline.catalogue import tokenize_catalogue
    from tokenizer.offline.id_table import read_ids
    from tokenizer.pipeline import Pipeline
    from tokenizer.report.coded_items import CodedItems
    from tokenizer.report.tokenizer_page import report as page_of

    settings.use_threads()
    out, ids, vectors = settings.out, settings.ids, settings.vectors
    if out.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"--out {out} is not an .html file; name one, such as report.html")
    if vectors is not None and (settings.items is None or ids is not None):
        raise InputError("--vectors replaces the texts of --items; with --ids give neither")
    loaded = load(settings.tokenizer)
    frame = None if settings.items is None else settings.read(settings.items)
    check_writable(out)
    coded = None
    if ids is not None:
        coded = CodedItems.of(read_ids(ids, Pipeline(loaded)), frame)
    elif frame is not None:
        pipeline = Pipeline(loaded)
        own = None if vectors is None else read_vectors(vectors)
        opened = open_cache(settings.cache) if own is None else nullcontext()
        with opened as kept, bar("tokenizing", frame.height) as progress:
            table = tokenize_catalogue(frame, pipeline, vectors=own, cache=kept, progress=progress)
        coded = CodedItems.of(table, frame)
    with written_aside(out) as path:
        path.write_text(page_of(loaded, coded), encoding="utf-8")
    told = "the tokenizer alone" if coded is None else f"{len(coded.codes):,} items"
    output.print(f"{out}: report on {told}")
