"""`POST /v1/similar`: the items nearest to an item, a text or a vector."""

import numpy as np
from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from data_prep.errors import InputError
from service.engine.catalogue import Catalogue
from service.engine.neighbours.nearest import Query
from service.engine.problem_error import FieldError, ProblemError
from service.http.messages.bodies import read_model
from service.http.messages.described_bodies import json_body
from service.http.messages.problems import RESPONSES
from service.http.messages.schemas import SimilarAnswer, SimilarItem, SimilarQuery
from service.http.routes.dependencies import CatalogueDependency
from service.http.routing.threaded import Threaded, body_of

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["similar"], route_class=Threaded)
_query = TypeAdapter(SimilarQuery)


@router.post(
    "/similar",
    responses=RESPONSES | {404: {"description": "Not found"}},
    openapi_extra=json_body("SimilarQuery"),
)
def similar(request: Request, catalogue: CatalogueDependency) -> SimilarAnswer:
    """Return the registered items nearest to an item, a text or a vector, each with its cosine.

    The items' vectors are compared: all of them while they fit in memory, else those of the items
    that codes propose. An item whose vector is not kept is ranked by what its codes decode to. With
    `exact` false, codes alone answer. An item is not its own neighbour.
    """
    asked = read_model(_query, body_of(request))
    query = _query_of(asked, catalogue)
    found = catalogue.similar(query, asked.k, asked.item_id, exact=asked.exact)
    return SimilarAnswer(
        items=[
            SimilarItem(
                **SimilarItem.fields_of(near.item),
                cosine=near.cosine,
                distance=near.distance,
                exact=near.exact,
            )
            for near in found
        ]
    )


def _query_of(asked: SimilarQuery, catalogue: Catalogue) -> Query:
    if asked.item_id is not None:
        found = catalogue.item(asked.item_id)
        if found is None:
            raise ProblemError(
                404, f"no item {asked.item_id!r} is registered; POST it to /v1/tokenize"
            )
        return catalogue.nearest.of_item(found, exact=asked.exact)
    try:
        if asked.text is not None:
            return catalogue.query_of_text(asked.text)
        return catalogue.nearest.of_vector(np.asarray(asked.vector, dtype=np.float32))
    except InputError as error:
        field = "text" if asked.text is not None else "vector"
        raise ProblemError(422, str(error), [FieldError(field, str(error))]) from error
