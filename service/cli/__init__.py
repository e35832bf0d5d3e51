"""The `semid` command."""

import sys

from data_prep.errors import missing_library

__all__ = ["main"]


def main() -> None:
    """Run the command; Ctrl-C ends in one line also while its modules are still imported."""
    try:
        from service.cli.commands import run

        run()
    except ModuleNotFoundError as error:  # semid without extras is the client alone
        sys.stderr.write(f"semid: {missing_library(error)}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("semid: stopped\n")
        sys.exit(130)
