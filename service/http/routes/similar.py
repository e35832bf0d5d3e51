"""`POST /v1/similar`: the items nearest to an item, a text or a vector."""

import asyncio

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from data_prep.errors import InputError
from service.engine.neighbours.nearest import Question
from service.engine.problem_error import FieldError, ProblemError
from service.engine.tokenizing import Tokenizing
from service.http.messages.bodies import READ_AT_ONCE, read_model
from service.http.messages.described_bodies import json_body
from service.http.messages.problems import RESPONSES
from service.http.messages.schemas import SimilarAnswer, SimilarItem, SimilarQuery
from service.http.routes.dependencies import NAMES_TOKENIZER, tokenizing_of
from service.http.routing.direct import Direct

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["similar"], route_class=Direct, dependencies=NAMES_TOKENIZER)
_query = TypeAdapter(SimilarQuery)


@router.post(
    "/similar",
    response_model=SimilarAnswer,
    responses=RESPONSES | {404: {"description": "Not found"}},
    openapi_extra=json_body("SimilarQuery"),
)
async def similar(request: Request) -> Response:
    """Return the registered items nearest to an item, a text or a vector, each with its cosine.

    The items' vectors are compared: all of them while they fit in memory, else those of the items
    that codes propose. An item whose vector is not kept is ranked by what its codes decode to. With
    `exact` false, codes alone answer. An item is not its own neighbour.
    """
    tokenizing = tokenizing_of(request)
    tokenizing.reads.check()  # before the body is read
    body = await request.body()
    if len(body) <= READ_AT_ONCE:
        asked = read_model(_query, body)
    else:
        asked = await asyncio.to_thread(read_model, _query, body)
    async with tokenizing.reads.answering(1):
        found = await tokenizing.similar(await _question(asked, tokenizing))
    if found is None:
        raise ProblemError(404, f"no item {asked.item_id!r} is registered; POST it to /v1/tokenize")
    answer = {"items": [SimilarItem.answer(near) for near in found]}
    return Response(orjson.dumps(answer), media_type="application/json")


async def _question(asked: SimilarQuery, tokenizing: Tokenizing) -> Question:
    """Return the question of a request; a text is encoded for it."""
    if asked.item_id is not None:
        return Question(asked.item_id, asked.k, asked.exact)
    field = "vector" if asked.text is None else "text"
    try:
        if asked.text is not None:
            vector = await tokenizing.vector_of(asked.text)
        else:
            vector = np.asarray(asked.vector, dtype=np.float32)
            tokenizing.catalogue.pipeline.check(vector[None, :])
    except InputError as error:
        raise ProblemError(422, str(error), [FieldError(field, str(error))]) from error
    return Question(vector, asked.k, asked.exact)
