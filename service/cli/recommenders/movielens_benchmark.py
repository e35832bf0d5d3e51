"""`semid benchmark movielens`: next items on MovieLens, and the ablation of GRIT-VQ's Table 12."""

from pathlib import Path

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

__all__ = ["movielens"]


class MovielensBenchmarkSettings(
    DeviceOption, EncoderOption, CacheOption, ConfigurationOption, QuietOption
):
    """The options of `semid benchmark movielens`."""

    command = "benchmark movielens"
    after_stop = "the same command resumes from the records in {out}"

    data: Path = argument("Folder of a MovieLens release, or of several.")
    out: Path = option("Folder of the benchmark; a later run continues it.")
    preset: str = option("smoke (a minute), quick (a CPU), or paper (an accelerator).", "quick")
    models: Commas = option("Names joined by commas.", ("dual-encoder",), min_length=1)
    quantizers: Commas = option("Names joined by commas; not with --ablation.", ("grit",))
    ablation: bool = option(
        "Compare GRIT-VQ with itself without transform, without radius, and with neither.", False
    )
    seeds: int = option("Seeds of each model.", 1, ge=1)
    prepare_only: bool = option(
        "Stop before training; python -m recsys.benchmarks then trains.", False
    )


def movielens(settings: MovielensBenchmarkSettings) -> None:
    """Benchmark next-item models on MovieLens: leave-one-out, all movies ranked.

    A movie's text is its title, genres and most frequent tags. With --ablation the tokenizers are
    those of Table 12 of GRIT-VQ; a last table has its rows beside ours, with utilization.

    Example: semid benchmark movielens ml-latest-small --ablation --out bench/movielens
    """
    from data_prep.embedding.embed import embed
    from data_prep.embedding.encoders import load_encoder
    from data_prep.storage.files import check_writable
    from data_prep.text import TextTemplate
    from recsys.benchmarks.movielens import ABLATION, ablation_table, read_release, releases_in
    from recsys.benchmarks.run import Plan, run_plan
    from recsys.benchmarks.summary import write_summary
    from recsys.presets import preset_named
    from service.cli.data.catalogue import open_cache
    from tokenizer.options import fitted_configs

    chosen = preset_named(settings.preset)
    for name in settings.models:
        chosen.model(name)
    given = dict(chosen.tokenizer) | settings.options
    variants = ABLATION if settings.ablation else [{"quantizer": n} for n in settings.quantizers]
    configs = tuple(
        config
        for variant in variants
        for config in fitted_configs([str(variant["quantizer"])], given | dict(variant))
    )
    plan = Plan(
        chosen,
        releases_in(settings.data),
        settings.models,
        configs,
        settings.seeds,
        shared=False,
        device=settings.torch_device(),
        read=read_release,
    )
    check_writable(settings.out / "summary.json")
    kind = load_encoder(settings.encoder)
    with benchmark_progress(len(plan.cells)) as teller, open_cache(settings.cache) as vectors:
        records, notes = run_plan(
            plan,
            settings.out,
            TextTemplate(),
            kind,
            lambda texts: embed(texts, kind, vectors, teller.counting(len(texts))),
            teller,
            train=not settings.prepare_only,
        )
    if settings.prepare_only:
        output.print(f"datasets are in {settings.out / 'datasets'}")
        return
    output.print(write_summary(settings.out, records, notes))
    if settings.ablation:
        output.print(ablation_table(records))
    output.print(f"kept in {settings.out}")
