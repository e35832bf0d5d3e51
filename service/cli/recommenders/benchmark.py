"""`semid benchmark`: recommenders on public data, compared with published figures."""

from pathlib import Path

import typer

from service.cli.recommenders import movielens_benchmark, search_benchmark
from service.cli.recommenders.benchmark_progress import benchmark_progress
from service.cli.terminal.command import add_command
from service.cli.terminal.console import output
from service.cli.terminal.options import (
    CacheOption,
    ConfigurationOption,
    DeviceOption,
    EncoderOption,
    QuietOption,
)
from service.settings import Commas, argument, option

__all__ = ["app"]

app = typer.Typer(
    help="Measure recommenders on public data, beside the published figures.", no_args_is_help=True
)


class AmazonSettings(DeviceOption, EncoderOption, CacheOption, ConfigurationOption, QuietOption):
    """The options of `semid benchmark amazon`."""

    command = "benchmark amazon"
    after_stop = "the same command resumes from the records in {out}"

    data: Path = argument("Folder with reviews_NAME_5.json.gz and meta_NAME.json.gz, at any depth.")
    out: Path = option("Folder of the benchmark; a later run continues it.")
    preset: str = option(
        "smoke (a minute), quick (a CPU), tuned or paper (an accelerator), or table5 (the "
        "tokenizers of GRIT-VQ's Table 5).",
        "quick",
    )
    models: Commas = option("Names joined by commas.", (), default_text="the preset's")
    quantizers: Commas = option(
        "Names joined by commas; dense is one code an item.", (), default_text="the preset's"
    )
    levels: Commas = option("Numbers of levels, joined by commas.", (), default_text="4")
    categories: Commas = option("Names joined by commas.", (), default_text="all in the folder")
    seeds: int = option("Seeds of each model; 0 for the preset's number.", 0, ge=0)
    cold: float = option(
        "Also train without this share of the items, to measure cold start.", 0.0, ge=0, le=0.9
    )
    shared: bool = option(
        "Fit one tokenizer for all categories; --no-shared fits one for each.", True
    )
    prepare_only: bool = option(
        "Stop before training; python -m recsys.benchmarks then trains.", False
    )


class TablesSettings(QuietOption):
    """The options of `semid benchmark tables`."""

    command = "benchmark tables"

    folder: Path = argument("Folder of a benchmark, with its records.")


def amazon(settings: AmazonSettings) -> None:
    """Benchmark recommenders on Amazon reviews of 2014, from raw files to significance tests.

    The benchmark prepares the data, fits tokenizers, trains, and ranks all items. Every cell
    (category, model, tokenizer, seed) has a record. A later run reuses the records and resumes a
    stopped training. The baselines without training are always measured. --set changes the
    tokenizers. Writes summary.json, summary.md and recall@10.png, ndcg@10.png.

    Example: semid benchmark amazon data/amazon --categories Beauty --quantizers grit,rqvae
    --seeds 3 --out bench/beauty
    """
    from data_prep.embedding.embed import embed
    from data_prep.embedding.encoders import load_encoder
    from data_prep.storage.files import check_writable
    from data_prep.text import TextTemplate
    from recsys.benchmarks.amazon import categories_in
    from recsys.benchmarks.run import DENSE, Plan, run_plan
    from recsys.benchmarks.summary import write_summary
    from recsys.presets import preset_named
    from service.cli.data.catalogue import open_cache
    from tokenizer.config import FitConfig
    from tokenizer.options import check_training, fitted_to_size, options_for, with_options

    out = settings.out
    chosen = preset_named(settings.preset)
    wanted = settings.models or chosen.default
    for name in wanted:
        chosen.model(name)
    quantizers = settings.quantizers or chosen.quantizers
    given = dict(chosen.tokenizer) | settings.options
    configs = []
    usual = str(given.pop("levels", FitConfig().quantizer.levels))
    for length in settings.levels or [usual]:
        for name in quantizers:
            if name == DENSE:
                continue
            changes = options_for(name, given) | {"quantizer": name, "levels": length}
            config = fitted_to_size(with_options(FitConfig(), changes))
            check_training(config)
            configs.append(config)
    device = settings.torch_device()
    plan = Plan(
        chosen,
        categories_in(settings.data, settings.categories),
        wanted,
        tuple(configs),
        settings.seeds or chosen.seeds,
        settings.shared,
        (0.0, settings.cold) if settings.cold else (0.0,),
        device,
        DENSE in quantizers,
    )
    check_writable(out / "summary.json")
    template = TextTemplate()
    kind = load_encoder(settings.encoder)
    with benchmark_progress(len(plan.cells)) as teller, open_cache(settings.cache) as vectors:
        records, notes = run_plan(
            plan,
            out,
            template,
            kind,
            lambda texts: embed(texts, kind, vectors, teller.counting(len(texts))),
            teller,
            train=not settings.prepare_only,
        )
    if settings.prepare_only:
        output.print(f"datasets are in {out / 'datasets'}")
        return
    output.print(write_summary(out, records, notes))
    output.print(f"kept in {out}")


def tables(settings: TablesSettings) -> None:
    """Write tables and pictures of all records in a folder, without training.

    Example: semid benchmark tables bench/beauty
    """
    from recsys.benchmarks.search import summary as search_summary
    from recsys.benchmarks.summary import kept_records, write_summary

    folder = settings.folder
    if (folder / "requests").is_dir():
        text = search_summary.write_summary(folder, *search_summary.kept_records(folder))
    else:
        text = write_summary(folder, *kept_records(folder))
    output.print(text)


add_command(app, amazon)
add_command(app, search_benchmark.search)
add_command(app, search_benchmark.esci)
add_command(app, search_benchmark.jdsearch)
add_command(app, movielens_benchmark.movielens)
add_command(app, tables)
