"""The one error that a user's input can cause."""

__all__ = ["InputError"]


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line for the user: the place (file, row, column, field), the value, and the
    remedy. The command line prints it and exits with code 2; the service answers with a problem
    document. Nothing has been changed when it is raised.
    """
