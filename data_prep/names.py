"""Names that a user chooses from; the error on an unknown name lists the known ones."""

from collections.abc import Iterable
from difflib import get_close_matches

from data_prep.errors import InputError

__all__ = ["check_name"]


def check_name(what: str, name: str, known: Iterable[str]) -> None:
    """Check that `name` is one of the `known` names of `what`.

    Raises:
        InputError: the name is unknown; the message lists the known names and the most similar one.
    """
    names = sorted(known)
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"unknown {what} {name!r}; known are {', '.join(names)}{hint}")
