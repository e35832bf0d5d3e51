"""How much one request may hold."""

from contextvars import ContextVar
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

__all__ = [
    "DEFAULT",
    "LIMITS",
    "BoundedText",
    "Limits",
    "MostBody",
    "MostItems",
    "MostText",
    "bounded_items",
]

MostItems = Annotated[int, Field(ge=1, le=100_000, description="items of a request")]
MostText = Annotated[int, Field(ge=1, le=10_000_000, description="characters of a text")]
MostBody = Annotated[int, Field(ge=1024, le=2**40, description="bytes of a body")]


class Limits(BaseModel):
    """The limits of a service; a request beyond one is refused whole."""

    model_config = ConfigDict(frozen=True)

    most_items: MostItems = 1000
    most_text: MostText = 100_000
    most_body: MostBody = 32 * 2**20


DEFAULT = Limits()
# The limits of the service that the request in hand came to: validators are told of nothing else.
LIMITS: ContextVar[Limits] = ContextVar("LIMITS", default=DEFAULT)


def _text(value: str) -> str:
    most = LIMITS.get().most_text
    if len(value) > most:
        raise PydanticCustomError(
            "string_too_long", "has {length} characters; at most {most} are taken",
            {"length": len(value), "most": most},
        )  # fmt: skip
    if "\0" in value:
        raise PydanticCustomError("string_null", "holds the character NUL, which no text needs")
    return value


def _items(value: object) -> object:
    most = LIMITS.get().most_items
    if isinstance(value, list) and len(value) > most:
        raise PydanticCustomError(
            "too_long", "holds {length} items; at most {most} are taken at once",
            {"length": len(value), "most": most},
        )  # fmt: skip
    return value


BoundedText = Annotated[str, AfterValidator(_text)]
bounded_items = BeforeValidator(_items)
