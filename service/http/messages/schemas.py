"""The bodies of requests and answers; the client imports them too, so they need no database."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from data_prep.values.item_rules import (
    ID_PATTERN,
    LONGEST_ID,
    MOST_CATEGORIES,
    category_path,
    id_fault,
    id_text,
    price_of,
    text_of,
    title_fault,
)
from service.http.messages.limits import BoundedText, RequestLimits, bounded_history, bounded_items
from tokenizer.ids.policy import Policy

if TYPE_CHECKING:
    from service.engine.neighbours.nearest import Neighbour
    from service.registry import RegisteredItem

__all__ = [
    "History",
    "IdMapPage",
    "Item",
    "ItemId",
    "ItemPage",
    "ItemToTokenize",
    "MappedId",
    "Problem",
    "RecommendAnswer",
    "RecommendQuery",
    "RecommendedItem",
    "SimilarAnswer",
    "SimilarItem",
    "SimilarQuery",
    "TokenizeAnswer",
    "TokenizeRequest",
    "TokenizedItem",
    "TokenizerDescription",
]


def _id(value: object) -> object:
    item_id = id_text(value)
    if item_id.strip() and (fault := id_fault(item_id)) is not None:
        raise PydanticCustomError("item_id", "{fault}", {"fault": fault})
    return item_id


def _title(value: str) -> str:
    if (fault := title_fault(value)) is not None:
        raise PydanticCustomError("title", "{fault}", {"fault": fault})
    return value


ItemId = Annotated[
    BoundedText,
    StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=ID_PATTERN),
    BeforeValidator(_id),
]
Text = Annotated[BoundedText | None, BeforeValidator(text_of)]
Title = Annotated[Annotated[BoundedText, AfterValidator(_title)] | None, BeforeValidator(text_of)]
Categories = Annotated[
    Annotated[list[BoundedText | None], Field(max_length=MOST_CATEGORIES)] | None,
    BeforeValidator(category_path),
]
Price = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | None,
    BeforeValidator(price_of),
]
Component = Annotated[float, Field(ge=-3e38, le=3e38, allow_inf_nan=False)]
MOST_CANDIDATES = 10_000
History = Annotated[list[ItemId], bounded_history]
Vector = Annotated[list[Component], Field(min_length=1, max_length=65_536)]


class ItemToTokenize(BaseModel):
    """An item with its fields, one text, or a vector; a vector takes precedence over both.

    Fields that the tokenizer's text template does not name are ignored, so a catalogue's row can be
    sent as it is.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "item_id": "B00X1",
                    "title": "Rose Hand Cream, 75 ml",
                    "brand": "Avila",
                    "categories": ["Beauty", "Skin Care", "Hands"],
                }
            ]
        },
    )

    item_id: ItemId
    title: Title = None
    brand: Text = None
    description: Text = None
    categories: Categories = None
    price: Price = None
    text: Text = Field(
        default=None, description="content text, used unchanged instead of the fields"
    )
    vector: Vector | None = Field(default=None, description="vector, used instead of all texts")


class TokenizeRequest(BaseModel):
    """Items, each item_id once; /v1/tokenizer states how many a request may hold."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[ItemToTokenize], Field(min_length=1), bounded_items]


class Item(BaseModel):
    """A registered item."""

    item_id: str
    title: str | None
    semantic_id: str = Field(
        description="the codes, then the suffix if it is not 0", examples=["12-240-3-77"]
    )
    codes: list[int] = Field(description="one code a level", examples=[[12, 240, 3, 77]])
    suffix: int = Field(
        description="tells items with the same codes apart: 0 for the first of them; always 0 with "
        "policy reassign"
    )
    distortion: float = Field(
        description="squared distance between the item's vector and the decoded vector, divided by "
        "the training items' mean squared distance from their mean"
    )

    @classmethod
    def fields_of(cls, item: "RegisteredItem") -> dict[str, Any]:
        """Return the fields of a registered item."""
        return {name: getattr(item, name) for name in Item.model_fields}


class TokenizedItem(Item):
    """An item and whether this request gave it its ID."""

    status: Literal["created", "known"]

    @classmethod
    def answer(cls, item: "RegisteredItem", new: bool) -> dict[str, Any]:
        """Return the answer for a registered item; `new` says whether this request created it."""
        return cls.fields_of(item) | {"status": "created" if new else "known"}


class TokenizeAnswer(BaseModel):
    """The items with their IDs, in the request's order."""

    items: list[TokenizedItem]
    tokenizer: str = Field(description="fingerprint of the tokenizer")


class ItemPage(BaseModel):
    """Items in the order of their IDs; give `next` as `after` for the next page."""

    items: list[Item]
    total: int
    next: str | None


class MappedId(BaseModel):
    """An item's ID by one tokenizer and by another."""

    item_id: str
    old: str = Field(description="ID by the tokenizer `from`", examples=["12-240-3-77"])
    new: str | None = Field(
        description="ID by the tokenizer `to`; null if it has none yet", examples=["7-19-201-4"]
    )


class IdMapPage(BaseModel):
    """Items in the order of registration; give `next` as `after` for the next page."""

    items: list[MappedId]
    next: int | None


TitleWords = Annotated[
    str,
    Field(
        max_length=200,
        description="only items whose titles have these words, or words that begin with them",
        examples=["hand cream"],
    ),
]


class RecommendQuery(BaseModel):
    """One history or several, oldest item first, and how many items to recommend."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"history": ["B00X1", "B00X2"], "k": 5}]}
    )

    history: History | None = None
    histories: Annotated[list[History], Field(min_length=1, max_length=1000)] | None = None
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    exclude_seen: bool = True
    candidates: (
        Annotated[
            list[ItemId],
            Field(
                min_length=1,
                max_length=MOST_CANDIDATES,
                description="the only items that may be recommended; unknown ones are counted",
            ),
        ]
        | None
    ) = None
    prefix: Annotated[
        str,
        Field(
            max_length=200,
            description="the first codes of the items that may be recommended, such as 12-240, by "
            "the tokenizer whose IDs the recommender reads",
        ),
    ] = ""
    words: TitleWords = ""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.history is None) == (self.histories is None):
            raise ValueError("give exactly one of history and histories")
        return self


class RecommendedItem(BaseModel):
    """A recommended item; its ID and title are null if the tokenizer has not given it one."""

    item_id: str
    score: float = Field(
        description="log-probability for models that generate, inner product for others, plus "
        "what transitions and repeats add; comparable only within one list"
    )
    semantic_id: str | None = None
    codes: list[int] | None = None
    suffix: int | None = None
    title: str | None = None

    @classmethod
    def of(cls, item_id: str, score: float, item: "RegisteredItem | None") -> Self:
        """Make the answer for an item, with its entry in the registry if it has one."""
        known = {} if item is None else Item.fields_of(item)
        return cls.model_validate(known | {"item_id": item_id, "score": score})


class RecommendAnswer(BaseModel):
    """One list of items for each history, best first, and the recommender's fingerprint."""

    lists: list[list[RecommendedItem]]
    recommender: str
    tokenizer: str = Field(description="fingerprint of the tokenizer of the items' IDs")
    unknown_candidates: int = Field(
        0, description="how many candidates the recommender does not have, or are removed"
    )
    unknown: list[str] = Field([], description="the first 100 of those candidates")


class SimilarQuery(BaseModel):
    """An item, a text or a vector, and how many neighbours."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "hand cream", "k": 5}]}
    )

    item_id: ItemId | None = None
    text: Annotated[BoundedText, StringConstraints(pattern=r"\S")] | None = None
    vector: Vector | None = None
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    exact: bool = Field(
        default=True, description="rank by the items' vectors; false answers from codes alone"
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        given = [self.item_id, self.text, self.vector]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of item_id, text and vector")
        return self


class SimilarItem(Item):
    """A neighbour, with its cosine and its distance."""

    cosine: float = Field(description="between the query's vector and the item's")
    exact: bool = Field(
        description="whether the item's own vector gave the cosine; else its codes' decoded one"
    )
    distance: float = Field(
        description="squared, from the query's latent to the item's decoded latent"
    )

    @classmethod
    def answer(cls, near: "Neighbour") -> dict[str, Any]:
        """Return the answer for a neighbour."""
        found = {"cosine": near.cosine, "exact": near.exact, "distance": near.distance}
        return Item.fields_of(near.item) | found


class SimilarAnswer(BaseModel):
    """Neighbours, nearest first: by cosine, or by distance if `exact` was false."""

    items: list[SimilarItem]


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(description="address of a page that describes this kind of problem")
    title: str
    status: int
    detail: str = Field(description="what is wrong, and how to correct it")
    instance: str = Field(description="path of the request")
    errors: list[dict[str, str]] = Field(
        default=[], description="each wrong field, with its path from the body's root and a message"
    )


class IndexDescription(BaseModel):
    """How the index is searched."""

    items: int
    lists: int = Field(description="prefixes that items are listed under; 0 for an index without")
    scanned_lists: int = Field(description="lists that a search scans; 0 for all, which is exact")
    recall_at_10: float = Field(description="measured share of the ten nearest items it finds")


class TokenizerDescription(BaseModel):
    """The tokenizer, its limits and its measured quality."""

    fingerprint: str
    name: str = Field(default="", description="as semid fit was told, or its folder's name")
    default: bool = Field(description="whether requests that name no tokenizer use this one")
    held: list[str] = Field(description="fingerprints of the tokenizers that requests may name")
    quantizer: str
    levels: int
    codebook_size: int
    policy: Policy = Field(description="how items with the same codes get distinct IDs")
    dimension: int
    encoder: str | None
    text_fields: list[str]
    items: int = Field(description="number of registered items")
    index: IndexDescription
    recommender: str | None = Field(description="fingerprint of the recommender; null without one")
    recommender_reads: str | None = Field(
        default=None,
        description="fingerprint of the tokenizer whose IDs it reads; empty if it reads none",
    )
    search: str | None = Field(
        default=None, description="fingerprint of the search model; null without one"
    )
    limits: RequestLimits
    queue: int = Field(description="items that may wait, over all requests; beyond it 429")
    timeout: float = Field(description="seconds until a request without an answer gets 503")
    versions: dict[str, str]
    metrics: dict[str, object]
