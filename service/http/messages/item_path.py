"""The path of an item; it takes any item_id, also with slashes and line breaks."""

from starlette.convertors import Convertor, register_url_convertor

__all__ = ["FIELDS", "ITEM"]

ITEM = "/items/{item_id:any}"
FIELDS = "/fields/{item_id:any}"


class _Any(Convertor[str]):
    """Matches the rest of the path; Starlette's `path` would stop at a line break."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any", _Any())
