"""The one error that a user's input, or an installation without all parts, can cause."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["InputError", "missing_library", "naming_extras"]

PACKAGES = ("data_prep", "tokenizer", "recsys", "service", "semid")


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line for the user: the place (file, row, column, field), the value, and the
    remedy. The command line prints it and exits with code 2; the service answers with a problem
    document. Nothing has been changed when it is raised.
    """


def missing_library(error: ModuleNotFoundError) -> InputError:
    """Return what to tell of a library that is not installed; a module of our own is our fault.

    Raises:
        ModuleNotFoundError: the module is one of semid's own.
    """
    library = (error.name or "").partition(".")[0]
    if library in PACKAGES:
        raise error
    return InputError(
        f"{library or error} is not installed, and semid without extras is the client alone; "
        f"pip install 'semid[cpu]', or 'semid[gpu]' for an NVIDIA GPU, has all of it"
    )


@contextmanager
def naming_extras() -> Iterator[None]:
    """Turn the lack of a library into an error that names the extras to install.

    Raises:
        InputError: a library that only the extras bring is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_library(error) from error
