"""The bodies of what a person looks at: names of prefixes, fields of items, codes of a text."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.http.messages.limits import BoundedText
from service.http.messages.schemas import Vector

__all__ = [
    "CentralItem",
    "CodesAnswer",
    "CodesQuery",
    "FieldsAnswer",
    "PrefixDepth",
    "PrefixEntry",
    "PrefixPage",
]


class FieldsAnswer(BaseModel):
    """An item's fields that are not empty, in the catalogue's order."""

    item_id: str
    fields: dict[str, Any]


class CodesQuery(BaseModel):
    """A text or a vector."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "Rose Hand Cream, 75 ml"}]}
    )

    text: Annotated[BoundedText, StringConstraints(pattern=r"\S")] | None = None
    vector: Vector | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.text is None) == (self.vector is None):
            raise ValueError("give exactly one of text and vector")
        return self


class CodesAnswer(BaseModel):
    """The codes that an item of this content would get."""

    codes: list[int] = Field(examples=[[12, 240, 3, 77]])
    prefix: str = Field(description="the codes as text", examples=["12-240-3-77"])
    distortion: float = Field(description="share of the mean variance that the codes lose")
    items: list[int] = Field(description="number of items that share the first codes, by length")
    tokenizer: str = Field(description="fingerprint of the tokenizer")


class CentralItem(BaseModel):
    """The item of a prefix that is nearest to the mean of its items."""

    item_id: str
    title: str | None


class PrefixEntry(BaseModel):
    """A prefix that is one code longer, how many items have it, and what they have in common."""

    prefix: str
    items: int
    example: str | None = Field(description="title of one of these items")
    words: list[str] = Field(
        default=[], description="of the titles, more common there than elsewhere, best first"
    )
    central: CentralItem | None = Field(default=None, description="null if names were not asked")
    coherence: float | None = Field(
        default=None,
        description="mean cosine of pairs of these items; null without two vectors",
    )


class PrefixDepth(BaseModel):
    """The prefixes of one length below the prefix that was asked."""

    length: int = Field(description="number of codes")
    prefixes: int = Field(description="number of prefixes that have items")
    largest: int = Field(description="number of items of the largest")
    single: int = Field(description="number of prefixes that have one item")


class PrefixPage(BaseModel):
    """The prefixes that extend a prefix by one code."""

    prefix: str
    prefixes: list[PrefixEntry]
    depths: list[PrefixDepth] = []
    chance: float | None = Field(
        default=None, description="mean cosine of pairs of any items, to compare coherence with"
    )
