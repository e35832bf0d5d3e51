"""How a command ends when it cannot go on: an exit code and one line."""

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import typer

from data_prep.errors import InputError
from service.cli.terminal.console import errors

__all__ = ["EndedError", "check_arguments", "ending", "flush", "say", "tolerate_any_encoding"]

USAGE: type[typer.BadParameter] = typer.BadParameter.__base__  # type: ignore[assignment]


class EndedError(Exception):
    """The command is over; `line` says why, or is empty where that is plain."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code, self.line = code, line


def ending(error: BaseException) -> EndedError:
    """Return the ending that belongs to an error, or raise the error where it is a fault of ours.

    Codes are 2 for what the user can mend, 130 after Ctrl-C, 141 where nobody reads the output
    (128 + SIGPIPE), 1 for the rest.
    """
    if isinstance(error, EndedError):
        return error
    for kind, code, line in ENDINGS:
        if isinstance(error, kind):
            return EndedError(code, line(error))
    raise error


def _usage(error: Any) -> str:
    place = error.ctx.command_path if error.ctx else "semid"
    message = error.format_message().rstrip(".").replace("\n", " ")
    if not message:  # the help was shown, since nothing else was asked for
        return ""
    return f"{message[:1].lower()}{message[1:]}; see {place} --help"


def _system_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {reason}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the output cannot be written: {reason}"
    return reason


# The first kind that fits tells the code and the line.
ENDINGS: tuple[tuple[type[BaseException], int, Callable[[Any], str]], ...] = (
    (InputError, 2, str),
    (USAGE, 2, _usage),
    (KeyboardInterrupt, 130, lambda _: "stopped"),
    (FloatingPointError, 1, lambda error: f"training failed: {error}"),
    (BrokenPipeError, 141, lambda _: "nobody reads the output any more"),
    (OSError, 1, _system_error),
)


def check_arguments(arguments: list[str]) -> None:
    """See that the arguments are text that files and messages can carry.

    Raises:
        InputError: one is not UTF-8.
    """
    for each in arguments:
        try:
            each.encode()
        except UnicodeEncodeError as error:
            told = os.fsencode(each).decode(errors="backslashreplace")
            raise InputError(f"the argument {told} is not UTF-8; rename the file") from error


def tolerate_any_encoding() -> None:
    """Write characters that the terminal's encoding lacks as escapes, and never fail for them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write out what standard output still holds.

    Raises:
        OSError: it cannot be written.
    """
    sys.stdout.flush()


def say(end: EndedError) -> None:
    """Print why the command ended, where standard error takes it."""
    with suppress(OSError):
        if end.line:
            errors.print(f"semid: {end.line}")
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    # What could not be written would be tried again at the interpreter's end.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
