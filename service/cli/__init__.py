"""The `semid` command."""

import sys

from data_prep.errors import missing_library

__all__ = ["main"]

try:
    from service.cli.main import main
except ModuleNotFoundError as error:  # semid without extras is the client alone
    told = str(missing_library(error))

    def main() -> None:
        """Tell what to install."""
        sys.stderr.write(f"semid: {told}\n")
        sys.exit(2)
