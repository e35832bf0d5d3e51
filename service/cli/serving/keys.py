"""`semid keys`: the API keys of a service."""

from pathlib import Path

import typer

from service.cli.terminal.command import add_command
from service.cli.terminal.console import errors, output
from service.settings import CommandSettings, Several, argument, option

__all__ = ["app"]

app = typer.Typer(
    help="API keys of semid serve --keys; a running service follows the file.",
    no_args_is_help=True,
)


class _KeysSettings(CommandSettings):
    """The options of all commands on keys."""

    file: Path = option("The file of keys; it holds digests, never a key.", Path("keys.json"))


class AddSettings(_KeysSettings):
    """The options of `semid keys add`."""

    command = "keys add"

    name: str = argument("Who or what will use the key.")
    scope: Several = option(
        "read (look up, find similar), write (tokenize) or admin (remove). May be repeated; "
        "no scope includes another.",
        ("read",),
        min_length=1,
    )


class ListSettings(_KeysSettings):
    """The options of `semid keys list`."""

    command = "keys list"


class RevokeSettings(_KeysSettings):
    """The options of `semid keys revoke`."""

    command = "keys revoke"

    key_id: str = argument("ID of the key, as semid keys list prints it.", metavar="ID")


def add(settings: AddSettings) -> None:
    """Make a key and print it once; the file keeps only its digest.

    Example: semid keys add nightly-import --scope read --scope write --file keys.json
    """
    from data_prep.errors import InputError
    from service.http.security.keys import SCOPES, add_key

    chosen = [known for known in SCOPES if known in settings.scope]
    wrong = set(settings.scope).difference(SCOPES)
    if wrong:
        raise InputError(f"--scope {min(wrong)} is none of {', '.join(SCOPES)}")
    key = add_key(settings.file, settings.name, chosen)
    may = f"{settings.name} may {', '.join(chosen)}"
    errors.print(f"{settings.file}: {may}; the key is not shown again:")
    output.print(key)


def list_keys(settings: ListSettings) -> None:
    """Print each key's id, scopes, creation day and name."""
    from service.http.security.keys import SCOPES, read_keys

    for key in read_keys(settings.file):
        scopes = ",".join(scope for scope in SCOPES if scope in key.scopes)
        output.print(f"{key.id}  {scopes:16}  {key.created:%Y-%m-%d}  {key.name}")


def revoke(settings: RevokeSettings) -> None:
    """Remove a key from the file; the next request with it is refused."""
    from service.http.security.keys import revoke_key

    revoked = revoke_key(settings.file, settings.key_id)
    output.print(f"{settings.file}: {revoked.name} revoked")


add_command(app, add)
add_command(app, list_keys, "list")
add_command(app, revoke)
