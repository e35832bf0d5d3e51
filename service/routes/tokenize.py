"""`POST /v1/tokenize`: items → frozen semantic IDs."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response

from service.batching import answered_within
from service.bodies import read_items
from service.openapi import TOKENIZE_BODY
from service.problems import RESPONSES
from service.routes.dependencies import TokenizingDependency
from service.schemas import TokenizeAnswer, TokenizedItem
from service.tokenizing import ItemToRegister

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["tokenize"])


async def _items(request: Request, tokenizing: TokenizingDependency) -> list[ItemToRegister]:
    tokenizing.gate.check()  # before the body is read
    return await read_items(request, tokenizing.catalogue.pipeline)


@router.post(
    "/tokenize", response_model=TokenizeAnswer, responses=RESPONSES, openapi_extra=TOKENIZE_BODY
)
async def tokenize(
    items: Annotated[list[ItemToRegister], Depends(_items)], tokenizing: TokenizingDependency
) -> Response:
    """Give each item its semantic ID, by its vector, its text, or its fields.

    A registered item keeps the ID that it has, whatever its content is now. Either all items of the
    request are registered or, after an error, none. Many vectors are sent quickest as msgpack.
    """
    with tokenizing.gate.admitted(len(items)):
        async with answered_within(tokenizing.limits.timeout):
            entries = await tokenizing.tokenize(items)
    answer: dict[str, Any] = {
        "items": [TokenizedItem.answer(entry, new) for entry, new in entries],
        "tokenizer": tokenizing.catalogue.pipeline.fingerprint,
    }
    return Response(orjson.dumps(answer), media_type="application/json")
