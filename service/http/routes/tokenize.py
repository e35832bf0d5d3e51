"""`POST /v1/tokenize`: items → frozen semantic IDs."""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from service.http.messages.bodies import read_items
from service.http.messages.described_bodies import TOKENIZE_BODY
from service.http.messages.problems import RESPONSES
from service.http.messages.schemas import TokenizeAnswer, TokenizedItem
from service.http.routes.dependencies import NAMES_TOKENIZER, tokenizing_of
from service.http.routing.direct import Direct

__all__ = ["router"]

router = APIRouter(
    prefix="/v1", tags=["tokenize"], route_class=Direct, dependencies=NAMES_TOKENIZER
)


@router.post(
    "/tokenize", response_model=TokenizeAnswer, responses=RESPONSES, openapi_extra=TOKENIZE_BODY
)
async def tokenize(request: Request) -> Response:
    """Give each item its semantic ID from its vector, its text or its fields.

    A registered item keeps its ID, even if its content has changed. Either all items of the request
    are registered or, after an error, none. msgpack is the fastest way to send many vectors.
    """
    tokenizing = tokenizing_of(request)
    tokenizing.admission.check()  # before the body is read
    items = await read_items(request, tokenizing.catalogue.pipeline)
    async with tokenizing.admission.answering(len(items)):
        entries = await tokenizing.tokenize(items)
    answer: dict[str, Any] = {
        "items": [TokenizedItem.answer(entry, new) for entry, new in entries],
        "tokenizer": tokenizing.catalogue.pipeline.fingerprint,
    }
    return Response(orjson.dumps(answer), media_type="application/json")
