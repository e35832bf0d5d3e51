"""`semid benchmark search`, `esci` and `jdsearch`: queries on public data."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.recommenders.benchmark_progress import benchmark_progress
from service.cli.terminal.console import output
from service.cli.terminal.options import (
    CacheOption,
    ConfigurationOption,
    DeviceOption,
    EncoderOption,
    QuietOption,
)
from service.settings import Commas, argument, option

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from data_prep.embedding.encoders import Encoder
    from recsys.benchmarks.search.sources import Embedded, SearchSource

__all__ = ["esci", "jdsearch", "search"]

USUAL = ("query-popularity", "bm25", "content", "bm25+content", "dual-encoder")


class SearchBenchmarkOptions(
    DeviceOption, EncoderOption, CacheOption, ConfigurationOption, QuietOption
):
    """The options that the search benchmarks share."""

    after_stop = "the same command resumes from the records in {out}"

    data: Path = argument("Folder with the data.")
    out: Path = option("Folder of the benchmark; a later run continues it.")
    preset: str = option(
        "smoke (a minute), light (minutes on a core), quick (a CPU), or paper (an accelerator).",
        "quick",
    )
    models: Commas = option("Names joined by commas.", USUAL, min_length=1)
    quantizers: Commas = option("Names joined by commas.", ("grit",), min_length=1)
    codebook_sizes: Commas = option("Sizes K joined by commas.", (), default_text="256")
    seeds: int = option("Seeds of each model.", 1, ge=1)
    training: dict[str, str] = option(
        "Any field of the training, as epochs=5. May be given often.",
        {},
        metavar="NAME=VALUE",
    )
    prepare_only: bool = option(
        "Stop before training; python -m recsys.benchmarks.search then trains.", False
    )


class SearchBenchmarkSettings(SearchBenchmarkOptions):
    """The options of `semid benchmark search`."""

    command = "benchmark search"

    data: Path = argument("Folder with reviews_NAME_5.json.gz and meta_NAME.json.gz, at any depth.")
    categories: Commas = option("Names joined by commas.", (), default_text="all in the folder")


class EsciBenchmarkSettings(SearchBenchmarkOptions):
    """The options of `semid benchmark esci`."""

    command = "benchmark esci"

    data: Path = argument("Folder that semid prepare esci wrote.")


class JdsearchBenchmarkSettings(SearchBenchmarkOptions):
    """The options of `semid benchmark jdsearch`."""

    command = "benchmark jdsearch"

    data: Path = argument("Folder that semid prepare jdsearch wrote.")
    models: Commas = option("Names joined by commas.", ("dual-encoder",), min_length=1)


def search(settings: SearchBenchmarkSettings) -> None:
    """Benchmark personalised product search on Amazon reviews of 2014.

    A query is made of the category path of each purchase, as in Ai et al. (SIGIR 2017): user and
    purchase are real. A user's last purchase is for the test, the one before for validation;
    training has no pair of user and query of the tests. Every cell has a record, which a later run
    reuses. Writes summary.json, summary.md and pictures.

    Example: semid benchmark search data/amazon --categories Beauty --quantizers grit,rqvae,kmeans
    --out bench/search-beauty
    """
    from recsys.benchmarks.amazon import categories_in
    from recsys.benchmarks.search.sources import amazon_source

    found = categories_in(settings.data, settings.categories)
    sources = [partial(amazon_source, name, files) for name, files in found.items()]
    _run(settings, sources)


def esci(settings: EsciBenchmarkSettings) -> None:
    """Benchmark search on Amazon's Shopping Queries: all products of a locale are ranked.

    NDCG has the gains 1, 0.1, 0.01 and 0 of exact matches, substitutes, complements and others.

    Example: semid benchmark esci data/esci-us --quantizers grit,rqvae,kmeans --out bench/esci
    """
    from recsys.benchmarks.search.sources import check_prepared, esci_source

    check_prepared(settings.data, "esci")
    _run(settings, [partial(esci_source, settings.data)])


def jdsearch(settings: JdsearchBenchmarkSettings) -> None:
    """Benchmark search on JDsearch: each action of a user after its query and the history.

    A second table puts the shown products in order, as the data set's authors do. Fit an encoder to
    the term ids first.

    Example: semid benchmark jdsearch data/jdsearch --encoder encoders/jdsearch --out bench/jd
    """
    from recsys.benchmarks.search.sources import check_prepared, jdsearch_source

    check_prepared(settings.data, "jdsearch")
    _run(settings, [partial(jdsearch_source, settings.data)])


def _run(
    settings: SearchBenchmarkOptions,
    sources: "Sequence[Callable[[Encoder, Embedded], SearchSource]]",
) -> None:
    from data_prep.embedding.embed import embed
    from data_prep.embedding.encoders import load_encoder
    from data_prep.storage.files import check_writable
    from recsys.benchmarks.search.methods import quantized
    from recsys.benchmarks.search.plan import SearchPlan, cells_of
    from recsys.benchmarks.search.run import run_search_plan
    from recsys.benchmarks.search.summary import write_summary
    from recsys.search.fit import configured
    from recsys.search.presets import preset_named
    from service.cli.data.catalogue import open_cache
    from tokenizer.options import fitted_configs

    preset = configured(preset_named(settings.preset), 0, settings.training)
    for model in settings.models:
        quantized(model)
    given = dict(preset.tokenizer) | settings.options
    sizes = settings.codebook_sizes or (None,)
    configs = tuple(
        config
        for size in sizes
        for config in fitted_configs(
            settings.quantizers, given | ({} if size is None else {"codebook_size": size})
        )
    )
    device = settings.torch_device()
    check_writable(settings.out / "summary.json")
    encoder = load_encoder(settings.encoder)
    plan = SearchPlan(preset, settings.models, configs, settings.seeds, device)
    train = not settings.prepare_only
    cells = len(sources) * len(list(cells_of(plan, "", train=train)))
    with benchmark_progress(cells) as teller, open_cache(settings.cache) as cache:

        def embedded(texts: "Sequence[str]") -> "NDArray[np.float32]":
            return embed(texts, encoder, cache, teller.counting(len(texts)))

        teller.begins("embedding")
        made = [source(encoder, embedded) for source in sources]
        records, notes = run_search_plan(plan, settings.out, made, teller, train=train)
    if not train:
        output.print(f"data sets are in {settings.out / 'datasets'}")
        return
    output.print(write_summary(settings.out, records, notes))
    output.print(f"kept in {settings.out}")
