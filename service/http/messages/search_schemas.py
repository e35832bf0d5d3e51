"""The bodies of `POST /v1/search`; the client imports them too, so they need no database."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.http.messages.limits import BoundedText
from service.http.messages.schemas import (
    MOST_CANDIDATES,
    History,
    ItemId,
    RecommendedItem,
    TitleWords,
)

__all__ = ["SearchAnswer", "SearchQuery", "SearchedItem"]


class SearchQuery(BaseModel):
    """A query, a history or both, and filters on the items that may be found."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"query": "hand cream", "history": ["B00X1", "B00X2"], "k": 5}]
        },
    )

    query: Annotated[BoundedText, StringConstraints(pattern=r"\S")] | None = None
    history: History = Field(
        default=[], description="the user's items, oldest first; unknown ones are skipped"
    )
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    exclude_seen: bool = Field(default=False, description="leave out the items of the history")
    prefix: Annotated[str, StringConstraints(pattern=r"^\d+(-\d+)*$", max_length=200)] | None = (
        Field(
            default=None, description="the items' IDs begin with these codes", examples=["12-240"]
        )
    )
    candidates: Annotated[list[ItemId], Field(min_length=1, max_length=MOST_CANDIDATES)] | None = (
        Field(default=None, description="the only items that may be found")
    )
    words: TitleWords = ""

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if self.query is None and not self.history:
            raise ValueError("give query, or history, or both")
        return self


class SearchedItem(RecommendedItem):
    """A found item; its score is the inner product of its vector with that of the request."""


class SearchAnswer(BaseModel):
    """Items, best first, and the fingerprints of the search model and of the items' tokenizer."""

    items: list[SearchedItem]
    search: str
    tokenizer: str
