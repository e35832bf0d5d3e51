"""The `semid` command."""

import sys

from data_prep.errors import missing_library
from data_prep.threads import use_threads

__all__ = ["main"]


def main() -> None:
    """Run the command; Ctrl-C ends in one line also while its modules are still imported."""
    use_threads()  # before NumPy, torch and faiss load, which read it then
    try:
        from service.cli.commands import run

        run()
    except ModuleNotFoundError as error:  # semid without extras is the client alone
        sys.stderr.write(f"semid: {missing_library(error)}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("semid: stopped\n")
        sys.exit(130)
