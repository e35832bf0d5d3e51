"""`semid train-search`: judged queries or histories, and IDs → a search model."""

from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.terminal.console import bar, output
from service.cli.terminal.options import (
    CacheOption,
    ConfigurationOption,
    DeviceOption,
    QuietOption,
)
from service.settings import argument, option

if TYPE_CHECKING:
    from recsys.search.data.dataset import SearchDataset

__all__ = ["TrainSearchSettings", "train_search"]


class TrainSearchSettings(DeviceOption, CacheOption, ConfigurationOption, QuietOption):
    """The options of `semid train-search`."""

    command = "train-search"

    ids: Path = argument("IDs of semid tokenize: the catalogue that is searched.")
    tokenizer: Path = option("The IDs' tokenizer; its encoder reads the queries.")
    queries: Path | None = option(
        "Judged queries: query_id, query, item_id, label, split (validation, test).", None
    )
    events: Path | None = option(
        "Histories instead: user_id, item_id, timestamp, and query (empty where there was none).",
        None,
    )
    out: Path = option("Folder for the search model.")
    preset: str = option("Size of model and training: smoke, light, quick or paper.", "quick")
    seed: int = option("Of every random choice.", 0, ge=0)
    overwrite: bool = option("Replace a search model at --out.", False)


def train_search(settings: TrainSearchSettings) -> None:
    """Train a dual encoder for search, keep its best state by validation, and test it.

    It reads a query's text vector and the codes of the user's items; an item's vector is made of
    its codes alone, so that items registered later are found too. --set changes the training:
    epochs, batch_size, learning_rate… `semid serve --search` serves it.

    Example: semid train-search ids.parquet --tokenizer tokenizers/shop --events
    data/jdsearch/interactions.parquet --out searches/shop
    """
    from data_prep.errors import InputError
    from data_prep.storage.durable import recover
    from data_prep.storage.files import check_writable
    from recsys.frozen_model import FILES
    from recsys.search.fit import configured, fit_search
    from recsys.search.presets import preset_named
    from recsys.search.training import Measured

    out = settings.out
    preset = configured(preset_named(settings.preset), settings.seed, settings.options)
    device = settings.torch_device()
    recover(out)
    if out.exists() and not settings.overwrite:
        raise InputError(f"{out} exists; choose another --out, or pass --overwrite to replace it")
    check_writable(out, FILES)
    dataset = _dataset(settings, device)
    with bar("training the search model", 0) as progress:

        def report(step: int, total: int, measured: Measured | None) -> None:
            progress.goes_to(step, total)
            if measured is not None:
                figure = measured.validation[preset.training.monitor]
                progress.note(f"epoch {measured.epoch}, {preset.training.monitor} {figure:.4f}")

        found = fit_search(preset, dataset, device, report)
    found.write(out)
    output.print(f"{out}: search model {found.fingerprint[:16]}…")
    shown = {f"validation {n}": v for n, v in found.metrics["validation"].items()}
    shown |= {f"test {n}": v for n, v in found.metrics["test"].items()}
    for name, value in shown.items():
        output.print(f"{name:24} {value:.4f}")


def _dataset(settings: TrainSearchSettings, device: str) -> "SearchDataset":
    """Return the requests with vectors of queries and codes of items."""
    from dataclasses import replace

    import numpy as np

    from data_prep.errors import InputError
    from data_prep.readers.catalogue import read_table
    from data_prep.storage.record import file_digest
    from recsys.search.data.requests import of_events, of_judgements
    from service.cli.data.catalogue import open_cache
    from tokenizer.offline.id_table import read_ids
    from tokenizer.pipeline import Pipeline

    if (settings.queries is None) == (settings.events is None):
        raise InputError("give one of --queries and --events")
    pipeline = Pipeline.load(settings.tokenizer, device)
    reference = pipeline.config.encoder
    if reference is None:
        raise InputError(
            f"{settings.tokenizer} was fitted on vectors and has no encoder to read queries; fit a "
            f"tokenizer with --encoder"
        )
    ids = read_ids(settings.ids, pipeline)
    item_ids = ids["item_id"].to_list()
    given = settings.queries or settings.events
    assert given is not None
    source = file_digest(given)
    if settings.queries is not None:
        dataset = of_judgements(read_table(settings.queries), item_ids, source)
    else:
        dataset = of_events(read_table(given), item_ids, source)
    if not dataset.queries:
        raise InputError(f"{given} has no query; a search model needs some")
    with (
        open_cache(settings.cache) as cache,
        bar("embedding the queries", len(dataset.queries)) as progress,
    ):
        vectors = pipeline.embed(dataset.queries, cache, progress)
    return replace(
        dataset,
        query_vectors=vectors,
        codes=np.asarray(ids["codes"].to_list(), dtype=np.uint16),
        codebooks=pipeline.codebooks,
        codebook_size=pipeline.codebook_size,
        tokenizer=pipeline.fingerprint,
        encoder=(reference.name, reference.revision),
    )
