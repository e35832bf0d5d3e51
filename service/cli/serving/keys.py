"""`semid keys`: the API keys of a service."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.terminal.console import errors, output

__all__ = ["app"]

app = typer.Typer(
    help="API keys of semid serve --keys; a running service follows the file.",
    no_args_is_help=True,
)
FileOption = Annotated[
    Path, typer.Option("--file", help="The file of keys; it holds digests, never a key.")
]
FILE = Path("keys.json")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Who or what will hold the key.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="read (look up, find similar), write (tokenize) or admin (remove). "
            "May be given often; none includes another.",
            show_default="read",
        ),
    ] = None,
    file: FileOption = FILE,
) -> None:
    """Make a key and print it, once: only its digest is kept.

    Example: semid keys add nightly-import --scope read --scope write --file keys.json
    """
    from data_prep.errors import InputError
    from service.http.security.keys import SCOPES, add_key

    chosen = [known for known in SCOPES if known in (scope or ["read"])]
    wrong = set(scope or ()).difference(SCOPES)
    if wrong:
        raise InputError(f"--scope {min(wrong)} is none of {', '.join(SCOPES)}")
    key = add_key(file, name, chosen)
    errors.print(f"{file}: {name} may {', '.join(chosen)}; the key is not shown again:")
    output.print(key)


@app.command("list")
def list_keys(file: FileOption = FILE) -> None:
    """Print each key's id, scopes, day of making and name."""
    from service.http.security.keys import SCOPES, read_keys

    for key in read_keys(file):
        scopes = ",".join(scope for scope in SCOPES if scope in key.scopes)
        output.print(f"{key.id}  {scopes:16}  {key.created:%Y-%m-%d}  {key.name}")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As semid keys list prints it.")],
    file: FileOption = FILE,
) -> None:
    """Take a key out of the file: from the next request on it opens nothing."""
    from service.http.security.keys import revoke_key

    output.print(f"{file}: {revoke_key(file, key_id).name} revoked")
