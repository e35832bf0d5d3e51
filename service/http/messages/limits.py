"""The limits on the size of one request."""

from contextvars import ContextVar
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from data_prep.text import text_fault as fault_of_any_text

__all__ = [
    "DEFAULT",
    "LIMITS",
    "BoundedText",
    "MostBody",
    "MostHistory",
    "MostItems",
    "MostText",
    "RequestLimits",
    "bounded_history",
    "bounded_items",
    "items_fault",
    "text_fault",
]

MostItems = Annotated[int, Field(ge=1, le=100_000, description="most items in a request")]
MostHistory = Annotated[int, Field(ge=1, le=1_000_000, description="most items in a history")]
MostText = Annotated[int, Field(ge=1, le=10_000_000, description="most characters in a text")]
MostBody = Annotated[int, Field(ge=1024, le=2**40, description="most bytes in a body")]


class RequestLimits(BaseModel):
    """The limits of a service; a request that exceeds one is refused as a whole."""

    model_config = ConfigDict(frozen=True)

    most_items: MostItems = 1000
    most_history: MostHistory = 10_000
    most_text: MostText = 100_000
    most_body: MostBody = 32 * 2**20


DEFAULT = RequestLimits()
# The limits that hold for the current request; pydantic's validators take no further arguments.
LIMITS: ContextVar[RequestLimits] = ContextVar("LIMITS", default=DEFAULT)


def text_fault(text: str) -> str | None:
    """Return what is wrong with a text of a request, or None."""
    most = LIMITS.get().most_text
    if len(text) > most:
        return f"has {len(text)} characters; at most {most} are allowed"
    return fault_of_any_text(text)


def items_fault(items: int) -> str | None:
    """Return what is wrong with the number of a request's items, or None."""
    most = LIMITS.get().most_items
    return f"holds {items} items; at most {most} are allowed in a request" if items > most else None


def _text(value: str) -> str:
    if (fault := text_fault(value)) is not None:
        raise PydanticCustomError("text", "{fault}", {"fault": fault})
    return value


def _items(value: object) -> object:
    if isinstance(value, list) and (fault := items_fault(len(value))) is not None:
        raise PydanticCustomError("items", "{fault}", {"fault": fault})
    return value


def _history(value: object) -> object:
    most = LIMITS.get().most_history
    if isinstance(value, list) and len(value) > most:
        fault = f"holds {len(value)} items; at most {most} are allowed in a history"
        raise PydanticCustomError("history", "{fault}", {"fault": fault})
    return value


BoundedText = Annotated[str, AfterValidator(_text)]
bounded_items = BeforeValidator(_items)
bounded_history = BeforeValidator(_history)
