"""The error that ends a request with a problem document."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

__all__ = ["FieldError", "ProblemError"]


class FieldError(dict[str, str]):
    """One wrong field: `path` from the body's root, such as `items/3/vector`, and `message`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path=path, message=message)


class ProblemError(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers)
