"""The `semid` command with all its subcommands."""

import os
import sys
from typing import Annotated

import typer

from service.cli.data import check, embed, fit_encoder, prepare
from service.cli.recommenders import benchmark, models, recommend, train, train_search
from service.cli.serving import database, demo, keys, serve, transfer
from service.cli.terminal.command import add_command
from service.cli.terminal.console import be_quiet
from service.cli.terminal.endings import (
    EndedError,
    check_arguments,
    ending,
    flush,
    say,
    tolerate_any_encoding,
)
from service.cli.tokenizers import (
    compare,
    fit,
    images,
    inspect,
    quantizers,
    report,
    similar,
    tokenize,
    tune,
)

__all__ = ["app", "run"]

app = typer.Typer(
    name="semid",
    help="Semantic IDs for recommender systems: short tuples of codes that say what an item is.\n\n"
    "A first run without data of your own: [bold]semid demo[/bold]. With a catalogue: "
    "[bold]semid fit[/bold] trains a tokenizer, [bold]semid tokenize[/bold] gives every item its "
    "ID, [bold]semid serve[/bold] answers over HTTP.\n\n"
    "Each option can also be set in the command's table of semid.toml (levels = 8 below "
    "\\[fit]), or in the environment (SEMID_FIT_LEVELS=8); the command line wins.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
DATA, TOKENIZERS, RECOMMENDERS = "Data", "Tokenizers", "Recommenders"
SERVICE = "Service and registry"

add_command(app, demo.demo)
add_command(app, check.check, panel=DATA)
app.add_typer(prepare.app, name="prepare", rich_help_panel=DATA)
add_command(app, embed.embed, panel=DATA)
add_command(app, fit_encoder.fit_encoder, panel=DATA)
add_command(app, fit.fit, panel=TOKENIZERS)
add_command(app, inspect.inspect, panel=TOKENIZERS)
add_command(app, report.report, panel=TOKENIZERS)
add_command(app, tokenize.tokenize, panel=TOKENIZERS)
add_command(app, similar.similar, panel=TOKENIZERS)
add_command(app, quantizers.quantizers, panel=TOKENIZERS)
add_command(app, tune.tune, panel=TOKENIZERS)
add_command(app, compare.compare, panel=TOKENIZERS)
add_command(app, compare.ablate, panel=TOKENIZERS)
app.add_typer(images.app, name="images", rich_help_panel=TOKENIZERS)
add_command(app, train.train, panel=RECOMMENDERS)
add_command(app, train.evaluate, panel=RECOMMENDERS)
add_command(app, train_search.train_search, panel=RECOMMENDERS)
add_command(app, recommend.recommend, panel=RECOMMENDERS)
add_command(app, models.models, panel=RECOMMENDERS)
app.add_typer(benchmark.app, name="benchmark", rich_help_panel=RECOMMENDERS)
add_command(app, serve.serve, panel=SERVICE)
app.add_typer(keys.app, name="keys", rich_help_panel=SERVICE)
app.add_typer(database.app, name="db", rich_help_panel=SERVICE)
add_command(app, database.promote, panel=SERVICE)
add_command(app, transfer.map_ids, panel=SERVICE)
add_command(app, transfer.export, panel=SERVICE)
add_command(app, transfer.import_, "import", panel=SERVICE)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"semid {version('semid')}")
        raise typer.Exit


@app.callback()
def _semid(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command; an error that the user can correct ends with one line and exit code 2."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    tolerate_any_encoding()
    be_quiet(quiet=False)
    try:
        check_arguments(sys.argv[1:])
        code = app(prog_name="semid", standalone_mode=False)
        flush()
        if code == 130:
            raise EndedError(130, "stopped")  # noqa: TRY301
    except Exception as error:  # noqa: BLE001  # what is a fault of ours is raised again
        end = ending(error)
        say(end)
        code = end.code
    if code:
        sys.exit(code)
