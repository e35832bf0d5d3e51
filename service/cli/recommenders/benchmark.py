"""`semid benchmark`: recommenders on public data, beside the published figures."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from data_prep.embedding.encoders import DEFAULT_ENCODER
from service.cli.terminal.console import Bar, bar, errors, output
from service.cli.terminal.options import (
    CacheOption,
    DeviceOption,
    EncoderOption,
    SetOption,
    option_map,
)

__all__ = ["app"]

app = typer.Typer(
    help="Measure recommenders on public data, beside the published figures.", no_args_is_help=True
)


@app.command()
def amazon(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder with reviews_NAME_5.json.gz and meta_NAME.json.gz, at any depth."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the benchmark; a later run goes on there.")],
    preset: Annotated[
        str, typer.Option(help="smoke (a minute), quick (a CPU), or paper (an accelerator).")
    ] = "quick",
    models: Annotated[
        str, typer.Option(help="Names joined by commas.", show_default="the preset's")
    ] = "",
    quantizers: Annotated[str, typer.Option(help="Names joined by commas.")] = "grit",
    levels: Annotated[
        str, typer.Option(help="Codes of an item; several joined by commas.", show_default="4")
    ] = "",
    categories: Annotated[
        str, typer.Option(help="Names joined by commas.", show_default="all that are there")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each model.")] = 1,
    cold: Annotated[
        float,
        typer.Option(
            min=0, max=0.9, help="Also train with this share of the items held out altogether."
        ),
    ] = 0.0,
    shared: Annotated[
        bool, typer.Option(help="One tokenizer for all categories, or one each.")
    ] = True,
    prepare_only: Annotated[
        bool,
        typer.Option(
            "--prepare-only", help="Stop before training; see python -m recsys.benchmarks."
        ),
    ] = False,
    device: DeviceOption = "cpu",
    options: SetOption = None,
    encoder: EncoderOption = DEFAULT_ENCODER,
    cache: CacheOption = None,
) -> None:
    """Prepare, fit tokenizers, train, rank all items, and test: Amazon reviews of 2014.

    Every cell (category, model, tokenizer, seed) has a record that a later run takes as it is; a
    training that was stopped goes on. Popularity and co-occurrence are always measured. --set
    changes the tokenizers. Writes summary.json, summary.md and recall@10.png, ndcg@10.png.

    Example: semid benchmark amazon data/amazon --categories Beauty --quantizers grit,rqvae
    --seeds 3 --out bench/beauty
    """
    from data_prep.embedding.devices import resolve_device
    from data_prep.embedding.embed import embed
    from data_prep.embedding.encoders import load_encoder
    from data_prep.storage.files import check_writable
    from data_prep.text import TextTemplate
    from recsys.benchmarks.amazon import categories_in
    from recsys.benchmarks.run import Plan, run_plan
    from recsys.benchmarks.summary import write_summary
    from recsys.presets import preset_named
    from service.cli.data.catalogue import open_cache
    from tokenizer.config import FitConfig
    from tokenizer.options import check_training, fitted_to_size, with_options

    chosen = preset_named(preset)
    wanted = tuple(_names(models)) or chosen.default
    for name in wanted:
        chosen.model(name)
    given = dict(chosen.tokenizer) | option_map(options)
    configs = []
    usual = str(given.pop("levels", FitConfig().quantizer.levels))
    for length in _names(levels) or [usual]:
        for name in _names(quantizers):
            changes = given | {"quantizer": name, "levels": length}
            config = fitted_to_size(with_options(FitConfig(), changes))
            check_training(config)
            configs.append(config)
    device = resolve_device(device)
    plan = Plan(
        chosen,
        categories_in(data, _names(categories)),
        wanted,
        tuple(configs),
        seeds,
        shared,
        (0.0, cold) if cold else (0.0,),
        device,
    )
    check_writable(out / "summary.json")
    template = TextTemplate()
    kind = load_encoder(encoder)
    with _telling(len(plan.cells)) as teller, open_cache(cache) as vectors:
        records, notes = run_plan(
            plan,
            out,
            template,
            kind,
            lambda texts: embed(texts, kind, vectors, teller.counting(len(texts))),
            teller,
            train=not prepare_only,
        )
    if prepare_only:
        output.print(f"datasets are in {out / 'datasets'}")
        return
    output.print(write_summary(out, records, notes))
    output.print(f"kept in {out}")


@app.command()
def tables(
    folder: Annotated[Path, typer.Argument(help="Folder of a benchmark, with its records.")],
) -> None:
    """Write tables and pictures of all records that a folder holds, and train nothing.

    Example: semid benchmark tables bench/beauty
    """
    from recsys.benchmarks.summary import kept_records, write_summary

    output.print(write_summary(folder, *kept_records(folder)))


class _Telling:
    """What a run does: a bar of its cells, and a line for each figure."""

    def __init__(self, cells: Bar) -> None:
        self._cells = cells
        self._what = ""

    def begins(self, what: str) -> None:
        self._what = what
        self._cells.note(what)

    def ends(self) -> None:
        self._cells(1)

    def counting(self, total: int) -> Callable[[int], None]:
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            self._cells.note(f"{self._what}, text {done:,} of {total:,}")

        return count

    def goes_on(self, step: int, total: int, note: str) -> None:
        self._cells.note(f"{self._what}, step {step:,} of {total:,}")
        if note:
            errors.print(f"{self._what}: {note}")


@contextmanager
def _telling(cells: int) -> Iterator[_Telling]:
    with bar("benchmark", cells) as progress:
        yield _Telling(progress)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
