"""`semid db` and `semid promote`: the registry's schema, and which tokenizer is the default."""

from typing import Annotated

import typer

from data_prep.errors import InputError
from service.cli.terminal.console import output
from service.cli.terminal.options import DatabaseOption

__all__ = ["app", "promote"]

app = typer.Typer(help="Look after the registry's database.", no_args_is_help=True)


@app.command()
def upgrade(database: DatabaseOption = None) -> None:
    """Bring the registry's schema to this semid's version, in one transaction; nothing is lost.

    An empty database becomes a registry. Stop the services of an older semid before.

    Example: semid db upgrade --database postgresql+psycopg://semid@db/semid
    """
    from service.registry import Database
    from service.registry.migrations.schema import VERSION
    from service.settings import database_url

    with Database(database_url(database)) as opened, opened.refusing():
        done = opened.upgrade()
    output.print(f"{opened.name}: {'upgraded to' if done else 'has'} version {VERSION}")


@app.command()
def status(database: DatabaseOption = None) -> None:
    """Tell the schema's version, the tokenizers and their items.

    Example: semid db status --database sqlite:///semid.db
    """
    from service.registry import Database
    from service.registry.reader import RegistryReader
    from service.registry.tokenizers import enrolled_tokenizers
    from service.settings import database_url

    with Database(database_url(database)) as opened, opened.refusing():
        if not opened.is_there():
            raise InputError(
                f"database {opened.name} is not there; give the --database that semid serve has"
            )
        state = opened.state()
        remedy = {"older": "; run semid db upgrade", "newer": "; install the newer semid"}
        output.print(f"{opened.name}: {state}{remedy.get(state, '')}")
        if state == "current":
            with opened.reading() as connection:
                everyone = enrolled_tokenizers(connection)
            for one in everyone:
                items = RegistryReader(opened, one).count()
                mark = ", the default" if one.default else ""
                output.print(f"tokenizer {one.fingerprint}: {items:,} items{mark}")


def promote(
    fingerprint: Annotated[str, typer.Argument(help="Of a tokenizer, or how it starts.")],
    database: DatabaseOption = None,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Even if items have no ID by it yet.")
    ] = False,
) -> None:
    """Make a tokenizer the default of every service on the database, without a restart.

    Requests that name no tokenizer mean the default. Promote the one before to switch back.

    Example: semid promote 3f9a --database postgresql+psycopg://semid@db/semid
    """
    from service.registry import open_database
    from service.registry.tokenizers import promote as promote_in
    from service.settings import database_url

    with open_database(database_url(database), new=False) as opened, opened.refusing():
        chosen = promote_in(opened, fingerprint, incomplete=incomplete)
    output.print(f"{opened.name}: the default is {chosen.fingerprint}")
