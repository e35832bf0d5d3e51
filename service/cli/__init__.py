"""The `semid` command."""

import sys

from data_prep.errors import missing_library
from data_prep.threads import use_threads

__all__ = ["main"]


def main() -> None:
    """Run the command; Ctrl-C ends it with one line, even during the imports."""
    use_threads()  # NumPy, torch and faiss read the setting when they load
    try:
        from service.cli.commands import run

        run()
    except ModuleNotFoundError as error:  # without extras only the client is installed
        sys.stderr.write(f"semid: {missing_library(error)}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("semid: stopped\n")
        sys.exit(130)
