"""The `semid` command."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command; Ctrl-C ends in one line also while its modules are still imported."""
    try:
        from service.cli.commands import run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("semid: stopped\n")
        sys.exit(130)
