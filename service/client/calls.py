"""The client's calls: builds requests and reads their answers; it opens no connection."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from service.client.retries import Outcome, is_transient
from service.http.messages.browsing_schemas import CodesAnswer, FieldsAnswer, PrefixPage
from service.http.messages.limits import RequestLimits
from service.http.messages.schemas import (
    IdMapPage,
    Item,
    ItemPage,
    ItemToTokenize,
    Problem,
    RecommendAnswer,
    SimilarAnswer,
    TokenizeAnswer,
    TokenizerDescription,
)
from service.http.messages.search_schemas import SearchAnswer

__all__ = [
    "Call",
    "SemidError",
    "SendableItem",
    "address_of",
    "batches",
    "check",
    "codes_of",
    "describe",
    "encoded",
    "get_item",
    "headers_of",
    "id_map_page",
    "is_unknown_item",
    "item_fields",
    "item_page",
    "prefix_page",
    "recommended",
    "remove_item",
    "search_items",
    "similar_items",
    "tokenize_items",
    "tokenize_vectors",
]

M = TypeVar("M", bound=BaseModel)
SendableItem = ItemToTokenize | Mapping[str, Any]
RESERVED_BYTES = 1024  # bytes reserved for the part of a body that is not items


class SemidError(Exception):
    """The service refused a request; `problem` says why and which fields are wrong."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}")
        self.problem = problem
        self.status = problem.status


class Nothing(BaseModel):
    """An answer without a body."""


@dataclass(frozen=True)
class Call(Generic[M]):
    """A request and the type of its answer."""

    answer: type[M]
    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: bytes | None = None
    media: str = "application/json"

    def request(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Build the request that `client` sends."""
        headers = {} if self.body is None else {"Content-Type": self.media}
        return client.build_request(
            self.method, self.path, params=self.params, content=self.body, headers=headers
        )

    def should_retry(self, outcome: Outcome) -> bool:
        """Return whether the request should be sent again."""
        return is_transient(outcome)

    def read(self, response: httpx.Response) -> M:
        """Return the answer in a response.

        Raises:
            SemidError: the response is a refusal.
        """
        check(response)
        return self.answer.model_validate_json(response.content or b"{}")


def check(response: httpx.Response) -> None:
    """Check that a response is a success; its body must have been read.

    Raises:
        SemidError: the response is a refusal.
    """
    if response.is_success:
        return
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:  # the answer came from a proxy, not from the service
        problem = Problem(
            type="about:blank",
            title=response.reason_phrase or "Error",
            status=response.status_code,
            detail=response.text[:200] or "no problem document came with it",
            instance=response.url.path,
        )
    raise SemidError(problem)


def address_of(given: str | None) -> str:
    """Return the service's address: the given one, else $SEMID_URL, else this machine's."""
    return given or os.environ.get("SEMID_URL") or "http://127.0.0.1:8000"


def headers_of(key: str | None) -> dict[str, str]:
    """Return the headers of every request; the key is the given one or $SEMID_KEY."""
    key = (key or os.environ.get("SEMID_KEY") or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError("the API key has invalid characters; give it as semid keys add printed it")
    return {"Authorization": f"Bearer {key}"} if key else {}


def describe() -> Call[TokenizerDescription]:
    """Ask for the tokenizer's description."""
    return Call(TokenizerDescription, "GET", "/v1/tokenizer")


def is_unknown_item(error: SemidError) -> bool:
    """Return whether a request failed because its item is not registered.

    A wrong address gives 404 too, but without the field `item_id`.
    """
    return error.status == 404 and "item_id" in [
        wrong.get("path") for wrong in error.problem.errors
    ]


def _quoted(item_id: str) -> str:
    """Return an item_id quoted for a path, also "." and "..", which would mean folders."""
    quoted = quote(item_id, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def get_item(item_id: str) -> Call[Item]:
    """Ask for one item."""
    return Call(Item, "GET", f"/v1/items/{_quoted(item_id)}")


def remove_item(item_id: str) -> Call[Nothing]:
    """Remove an item."""
    return Call(Nothing, "DELETE", f"/v1/items/{_quoted(item_id)}")


def recommended(
    histories: Sequence[Sequence[str]],
    k: int,
    *,
    exclude_seen: bool,
    candidates: Sequence[str] | None = None,
    prefix: str = "",
    words: str = "",
) -> Call[RecommendAnswer]:
    """Ask for the items that come next after each history."""
    query: dict[str, object] = {"histories": histories, "k": k, "exclude_seen": exclude_seen}
    query |= {"candidates": candidates} if candidates is not None else {}
    query |= {"prefix": prefix} if prefix else {}
    query |= {"words": words} if words else {}
    return Call(RecommendAnswer, "POST", "/v1/recommend", body=_json(query))


def search_items(
    query: str | None,
    history: Sequence[str],
    k: int,
    *,
    exclude_seen: bool,
    prefix: str | None,
    candidates: Sequence[str] | None,
    words: str = "",
) -> Call[SearchAnswer]:
    """Ask for the items that answer a query."""
    given: dict[str, Any] = {"query": query, "prefix": prefix, "candidates": candidates}
    given["words"] = words or None
    body = {name: value for name, value in given.items() if value is not None}
    body |= {"history": history, "k": k, "exclude_seen": exclude_seen}
    return Call(SearchAnswer, "POST", "/v1/search", body=_json(body))


def item_page(prefix: str, search: str, after: str, limit: int) -> Call[ItemPage]:
    """Ask for a page of items."""
    params = {"prefix": prefix, "search": search, "after": after}
    given: dict[str, str | int] = {name: value for name, value in params.items() if value}
    return Call(ItemPage, "GET", "/v1/items", given | {"limit": limit})


def item_fields(item_id: str) -> Call[FieldsAnswer]:
    """Ask for an item's fields in the service's catalogue."""
    return Call(FieldsAnswer, "GET", f"/v1/fields/{_quoted(item_id)}")


def codes_of(text: str | None, vector: NDArray[np.float32] | None) -> Call[CodesAnswer]:
    """Ask for the codes of a text or a vector."""
    query = {"text": text} if vector is None else {"text": text, "vector": vector}
    given = {name: value for name, value in query.items() if value is not None}
    return Call(CodesAnswer, "POST", "/v1/codes", body=_json(given))


def prefix_page(prefix: str) -> Call[PrefixPage]:
    """Ask for the prefixes that extend a prefix by one code."""
    return Call(PrefixPage, "GET", "/v1/prefixes", {"prefix": prefix})


def id_map_page(old: str, new: str, after: int, limit: int) -> Call[IdMapPage]:
    """Ask for a page of the map from one tokenizer's IDs to another's."""
    params: dict[str, str | int] = {"from": old, "to": new, "after": after, "limit": limit}
    return Call(IdMapPage, "GET", "/v1/id-map", params)


def similar_items(
    item_id: str | None,
    text: str | None,
    vector: NDArray[np.float32] | None,
    k: int,
    *,
    exact: bool,
) -> Call[SimilarAnswer]:
    """Ask for the nearest items."""
    query: dict[str, Any] = {"k": k} if exact else {"k": k, "exact": False}
    given = {"item_id": item_id, "text": text, "vector": vector}
    query |= {name: value for name, value in given.items() if value is not None}
    return Call(SimilarAnswer, "POST", "/v1/similar", body=_json(query))


def tokenize_items(
    items: Iterable[SendableItem], limits: RequestLimits
) -> Iterator[Call[TokenizeAnswer]]:
    """Yield requests that tokenize `items`, each as large as the service accepts."""
    room = limits.most_body - RESERVED_BYTES
    for batch in batches(map(encoded, items), limits.most_items, room):
        body = b'{"items":[' + b",".join(batch) + b"]}"
        yield Call(TokenizeAnswer, "POST", "/v1/tokenize", body=body)


def tokenize_vectors(
    item_ids: Sequence[str],
    vectors: NDArray[np.float32],
    titles: Sequence[str | None] | None,
    limits: RequestLimits,
) -> Iterator[Call[TokenizeAnswer]]:
    """Yield requests that tokenize vectors (N, D), each as large as the service accepts.

    Raises:
        ValueError: the numbers of ids, vectors and titles differ.
    """
    if not len(item_ids) == len(vectors) == len(titles if titles is not None else item_ids):
        raise ValueError(
            f"{len(item_ids)} item_ids, {len(vectors)} vectors and "
            f"{len(item_ids) if titles is None else len(titles)} titles differ in number"
        )
    texts = max((len(text.encode()) for text in (*item_ids, *(titles or ())) if text), default=0)
    width = 4 * vectors.shape[1] + 2 * (texts + 5)
    step = max(1, min(limits.most_items, (limits.most_body - RESERVED_BYTES) // width))
    for start in range(0, len(item_ids), step):
        rows = slice(start, start + step)
        body = {
            "item_ids": list(item_ids[rows]),
            "vectors": np.ascontiguousarray(vectors[rows], dtype="<f4").tobytes(),
            "titles": None if titles is None else list(titles[rows]),
        }
        packed = msgspec.msgpack.encode(body)
        yield Call(TokenizeAnswer, "POST", "/v1/tokenize", body=packed, media="application/msgpack")


def encoded(item: SendableItem) -> bytes:
    """Return an item as JSON."""
    if isinstance(item, ItemToTokenize):
        item = item.model_dump(exclude_none=True)
    return _json(item)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def batches(parts: Iterable[bytes], most: int, room: int) -> Iterator[list[bytes]]:
    """Yield batches of at most `most` parts and `room` bytes; a larger part is a batch alone."""
    batch: list[bytes] = []
    size = 0
    for part in parts:
        if batch and (len(batch) == most or size + len(part) + 1 > room):
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += len(part) + 1
    if batch:
        yield batch
