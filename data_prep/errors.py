"""The one error for unusable input and for missing parts of the installation."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["InputError", "missing_library", "naming_extras"]

PACKAGES = ("data_prep", "tokenizer", "recsys", "service", "semid")


class InputError(ValueError):
    """The user's input cannot be used.

    The message is one line for the user: the place (file, row, column, field), the value, and the
    remedy. The command line prints it and exits with code 2; the service answers with a problem
    document. Code that raises it has changed nothing.
    """


def missing_library(error: ModuleNotFoundError) -> InputError:
    """Return the error for a library that is not installed.

    Raises:
        ModuleNotFoundError: the module is one of semid's own.
    """
    library = (error.name or "").partition(".")[0]
    if library in PACKAGES:
        raise error
    return InputError(
        f"{library or error} is not installed: semid without extras is the client alone; install "
        f"everything with pip install 'semid[cpu]', or 'semid[gpu]' for an NVIDIA GPU"
    )


@contextmanager
def naming_extras() -> Iterator[None]:
    """Turn a missing library into an error that names the extras to install.

    Raises:
        InputError: a library of the extras is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_library(error) from error
