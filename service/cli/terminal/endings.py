"""How a command ends after an error: with an exit code and one line."""

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

UsageError: type[typer.BadParameter] = typer.BadParameter.__base__  # type: ignore[assignment]


class EndedError(Exception):
    """The command ends; `line` says why, and is empty if no reason is needed."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code, self.line = code, line


def ending(error: BaseException) -> EndedError:
    """Return the ending for an error; raise the error again if it is a bug in semid.

    Codes are 2 for errors that the user can correct, 130 after Ctrl-C, 141 if nobody reads the
    output (128 + SIGPIPE), and 1 for other errors.
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
    if not message:  # no command was given: the help was printed instead
        return ""
    return f"{message[:1].lower()}{message[1:]}; see {place} --help"


def _system_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {reason}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the output cannot be written: {reason}"
    return reason


# The first type that matches the error gives the exit code and the line.
ENDINGS: tuple[tuple[type[BaseException], int, Callable[[Any], str]], ...] = (
    (InputError, 2, str),
    (UsageError, 2, _usage),
    (KeyboardInterrupt, 130, lambda _: "stopped"),
    (FloatingPointError, 1, lambda error: f"training failed: {error}"),
    (BrokenPipeError, 141, lambda _: "nobody reads the output any more"),
    (OSError, 1, _system_error),
)


def check_arguments(arguments: list[str]) -> None:
    """Check that the arguments are valid UTF-8, so that files and messages can contain them.

    Raises:
        InputError: an argument is not UTF-8.
    """
    for each in arguments:
        try:
            each.encode()
        except UnicodeEncodeError as error:
            told = os.fsencode(each).decode(errors="backslashreplace")
            raise InputError(f"the argument {told} is not UTF-8; rename the file") from error


def tolerate_any_encoding() -> None:
    """Print characters that the terminal's encoding lacks as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write the buffered standard output.

    Raises:
        OSError: it cannot be written.
    """
    sys.stdout.flush()


def say(end: EndedError) -> None:
    """Print why the command ended; do nothing if standard error cannot be written."""
    with suppress(OSError):
        if end.line:
            errors.print(f"semid: {end.line}")
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    # The interpreter would try again at its end to write the buffered output: send it to nowhere.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
