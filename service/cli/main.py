"""`semid`: from a catalogue to frozen semantic IDs."""

import os
import sys

import typer

from data_prep.errors import InputError
from service.cli.data import embed, prepare
from service.cli.recommenders import benchmark, train
from service.cli.serving import database, demo, keys, serve, transfer
from service.cli.terminal.console import errors
from service.cli.tokenizers import compare, fit, inspect, report, tokenize, tune

__all__ = ["main"]

app = typer.Typer(
    name="semid",
    help="Semantic IDs for recommender systems: short tuples of codes that say what an item is.\n\n"
    "A first run without data of your own: [bold]semid demo[/bold]. With a catalogue: "
    "[bold]semid fit[/bold] trains a tokenizer, [bold]semid tokenize[/bold] gives every item its "
    "ID, [bold]semid serve[/bold] answers over HTTP.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(prepare.app, name="prepare")
app.add_typer(database.app, name="db")
app.command()(embed.embed)
app.command()(fit.fit)
app.command()(inspect.inspect)
app.command()(report.report)
app.command()(tokenize.tokenize)
app.command()(serve.serve)
app.add_typer(keys.app, name="keys")
app.command()(database.promote)
app.command()(transfer.map_ids)
app.command()(transfer.export)
app.command("import")(transfer.import_)
app.command()(tune.tune)
app.command()(compare.compare)
app.command()(compare.ablate)
app.command()(train.train)
app.command()(train.evaluate)
app.add_typer(benchmark.app, name="benchmark")
app.command()(demo.demo)


def main() -> None:
    """Run the command; what the user can mend ends in one line and exit code 2."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        app()
    except InputError as error:
        errors.print(f"semid: {error}")
        sys.exit(2)
    except FloatingPointError as error:
        errors.print(f"semid: training failed: {error}")
        sys.exit(1)
