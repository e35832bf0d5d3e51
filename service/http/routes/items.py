"""`GET /v1/items` and `/v1/prefixes`; `GET` and `DELETE /v1/items/{item_id}`."""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response

from data_prep.errors import InputError
from service.engine.browsing.named_prefixes import PrefixName
from service.engine.problem_error import FieldError, ProblemError
from service.http.messages.browsing_schemas import PrefixPage
from service.http.messages.item_path import ITEM
from service.http.messages.problems import RESPONSES
from service.http.messages.schemas import Item, ItemPage
from service.http.routes.dependencies import (
    NAMES_TOKENIZER,
    CatalogueDependency,
    LoadedDependency,
    tokenizing_of,
)
from service.http.routing.direct import Direct
from service.http.routing.threaded import Threaded
from service.registry import PrefixCount, RegisteredItem
from tokenizer.ids.semantic_id import format_semantic_id, parse_prefix
from tokenizer.pipeline import Pipeline

__all__ = ["direct", "router"]

router = APIRouter(prefix="/v1", tags=["items"], route_class=Threaded)
direct = APIRouter(prefix="/v1", tags=["items"], route_class=Direct, dependencies=NAMES_TOKENIZER)
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/items", response_model=ItemPage, responses=RESPONSES)
def list_items(
    catalogue: CatalogueDependency,
    prefix: Annotated[str, Query(description="first codes of an ID, such as 12-240")] = "",
    search: Annotated[
        str, Query(max_length=200, description="words of a title, or their beginnings")
    ] = "",
    limit: Limit = 50,
    after: Annotated[str, Query(description="`next` of the previous page")] = "",
) -> Response:
    """Return items under a prefix, in the order of their IDs, or items whose title has a text.

    A prefix that no item has gives 404.
    """
    registry = catalogue.registry
    if search.strip():
        if prefix or after:
            raise ProblemError(422, "give search without prefix and after")
        return _page(*registry.search_titles(search.strip(), limit), following=None)
    codes = _prefix(prefix, catalogue.pipeline)
    start = _position(after, catalogue.pipeline) if after else None
    total = registry.count_with_prefix(codes)
    if codes and not total:
        raise ProblemError(404, f"no item has an ID that starts with {prefix}")
    page = registry.with_prefix(codes, limit + 1, start)
    more = len(page) > limit
    page = page[:limit]
    return _page(page, total, following=page[-1].semantic_id if more else None)


@direct.get(
    ITEM,
    response_model=Item,
    responses=RESPONSES | {404: {"description": "Not found"}},
)
async def get_item(request: Request, item_id: str) -> Response:
    """Return one item with its ID."""
    tokenizing = tokenizing_of(request)
    item = tokenizing.catalogue.known.get(item_id)
    if item is None:
        async with tokenizing.reads.answering(1):
            item = (await tokenizing.look_up([item_id])).get(item_id)
    if item is None:
        raise _unknown(item_id, "; POST it to /v1/tokenize")
    return _json(Item.fields_of(item))


@router.delete(
    ITEM,
    status_code=204,
    responses=RESPONSES | {404: {"description": "Not found"}},
)
def remove_item(item_id: str, loaded: LoadedDependency) -> None:
    """Remove an item from all tokenizers; no other item ever gets its IDs.

    An item that is posted again gets its old ID back.
    """
    if not loaded.remove(item_id):
        raise _unknown(item_id, "")


@router.get("/prefixes", response_model=PrefixPage, responses=RESPONSES)
def list_prefixes(
    catalogue: CatalogueDependency,
    prefix: Annotated[str, Query(description="first codes of an ID; empty for the roots")] = "",
    named: Annotated[bool, Query(description="with words, central items and sizes")] = True,
) -> Response:
    """Return the prefixes that extend `prefix` by one code and have items, with the item counts.

    Words, central items and coherence come from a sample of each prefix's items. They are kept for
    ten minutes, or until the number of items has changed by a tenth.
    """
    codes = _prefix(prefix, catalogue.pipeline)
    if len(codes) == catalogue.pipeline.levels:
        return _json({"prefix": prefix, "prefixes": [], "depths": [], "chance": None})
    counts = catalogue.registry.next_codes(codes)
    if codes and not counts:
        raise ProblemError(404, f"no item has an ID that starts with {prefix}")
    found = catalogue.prefixes.below(codes, counts) if named and counts else None
    names = {} if found is None else found.names
    return _json(
        {
            "prefix": prefix,
            "prefixes": [_entry(count, names.get(count.codes[-1])) for count in counts],
            "depths": [] if found is None else found.depths,
            "chance": None if found is None else found.chance,
        }
    )


def _json(answer: dict[str, Any]) -> Response:
    """Return an answer that is not checked against its model: that would take longer than it."""
    return Response(orjson.dumps(answer), media_type="application/json")


def _page(items: Sequence[RegisteredItem], total: int, following: str | None) -> Response:
    return _json(
        {"items": [Item.fields_of(item) for item in items], "total": total, "next": following}
    )


def _entry(count: PrefixCount, name: PrefixName | None) -> dict[str, Any]:
    central = None
    if name is not None:
        item_id, title = name.central
        central = {"item_id": item_id, "title": title}
    return {
        "prefix": format_semantic_id(count.codes),
        "items": count.items,
        "example": count.title,
        "words": [] if name is None else name.words,
        "central": central,
        "coherence": None if name is None else name.coherence,
    }


def _unknown(item_id: str, remedy: str) -> ProblemError:
    """Return a 404 problem; its field `item_id` tells an unknown item from a wrong address."""
    unknown = FieldError("item_id", "is not registered")
    return ProblemError(404, f"no item {item_id!r} is registered{remedy}", [unknown])


def _prefix(text: str, pipeline: Pipeline) -> tuple[int, ...]:
    return parse_prefix(text, pipeline.levels, pipeline.codebook_size) if text else ()


def _position(after: str, pipeline: Pipeline) -> tuple[tuple[int, ...], int]:
    """Parse a whole ID, with or without a suffix, to codes and suffix."""
    parts = after.split("-")
    codes = _prefix("-".join(parts[: pipeline.levels]), pipeline)
    suffix = parts[pipeline.levels :]
    if len(codes) != pipeline.levels or len(suffix) > 1 or not all(map(_is_suffix, suffix)):
        raise InputError(f"after={after!r} is not a semantic ID; give `next` of the previous page")
    return codes, int(suffix[0]) if suffix else 0


def _is_suffix(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10
