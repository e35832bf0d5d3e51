"""`semid db` and `semid promote`: the registry's schema, and its default tokenizer."""

import typer

from data_prep.errors import InputError
from service.cli.terminal.command import add_command
from service.cli.terminal.console import output
from service.settings import RegistrySettings, argument, option

__all__ = ["app", "promote"]

app = typer.Typer(help="Check and upgrade the registry's database.", no_args_is_help=True)


class UpgradeSettings(RegistrySettings):
    """The options of `semid db upgrade`."""

    command = "db upgrade"


class StatusSettings(RegistrySettings):
    """The options of `semid db status`."""

    command = "db status"


class PromoteSettings(RegistrySettings):
    """The options of `semid promote`."""

    command = "promote"

    fingerprint: str = argument("Fingerprint of a tokenizer, or its first characters.")
    incomplete: bool = option("Promote it even if some items have no ID by it yet.", False)
    without_recommender: bool = option("Promote it even if no recommender reads its IDs.", False)


def upgrade(settings: UpgradeSettings) -> None:
    """Upgrade the registry's schema to this semid's version, in one transaction; nothing is lost.

    An empty database becomes a registry. Stop the services of an older semid first.

    Example: semid db upgrade --database postgresql+psycopg://semid@db/semid
    """
    from service.registry import Database
    from service.registry.migrations.schema import VERSION

    with Database(settings.database) as opened, opened.faults_named():
        done = opened.upgrade()
    output.print(f"{opened.name}: {'upgraded to' if done else 'has'} version {VERSION}")


def status(settings: StatusSettings) -> None:
    """Print the schema's version, the tokenizers and the number of their items.

    Example: semid db status --database sqlite:///semid.db
    """
    from service.registry import Database
    from service.registry.reader import RegistryReader
    from service.registry.tokenizers import enrolled_tokenizers

    with Database(settings.database) as opened, opened.faults_named():
        if not opened.is_there():
            raise InputError(
                f"database {opened.name} does not exist; give the --database of semid serve"
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


def promote(settings: PromoteSettings) -> None:
    """Make a tokenizer the default of every service on the database, without a restart.

    Requests that name no tokenizer use the default. To switch back, promote the earlier tokenizer.
    Where recommenders are served, one of them should read the new IDs.

    Example: semid promote 3f9a --database postgresql+psycopg://semid@db/semid
    """
    from service.registry import open_database
    from service.registry.tokenizers import promote as promote_in
    from service.registry.tokenizers import recommender_for

    with open_database(settings.database, new=False) as opened, opened.faults_named():
        chosen = promote_in(
            opened,
            settings.fingerprint,
            incomplete=settings.incomplete,
            without_recommender=settings.without_recommender,
        )
        with opened.reading() as connection:
            recommender = recommender_for(connection, chosen.fingerprint)
    output.print(f"{opened.name}: the default is {chosen.fingerprint}")
    if recommender is not None:
        output.print(f"recommender {recommender} goes with it")


add_command(app, upgrade)
add_command(app, status)
