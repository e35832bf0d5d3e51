"""`POST /v1/similar`: the items nearest to an item, a text or a vector."""

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from pydantic import TypeAdapter

from data_prep.errors import InputError
from service.engine.catalogue import Catalogue
from service.engine.problem_error import FieldError, ProblemError
from service.http.messages.bodies import read_model
from service.http.messages.described_bodies import json_body
from service.http.messages.problems import RESPONSES
from service.http.messages.schemas import SimilarAnswer, SimilarItem, SimilarQuery
from service.http.routes.dependencies import CatalogueDependency
from service.http.routes.threaded import Threaded, body_of

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["similar"], route_class=Threaded)
_query = TypeAdapter(SimilarQuery)


@router.post(
    "/similar",
    responses=RESPONSES | {404: {"description": "Not found"}},
    openapi_extra=json_body("SimilarQuery"),
)
def similar(request: Request, catalogue: CatalogueDependency) -> SimilarAnswer:
    """Return the registered items with the nearest latents; an item is not its own neighbour."""
    query = read_model(_query, body_of(request))
    neighbours = catalogue.similar(_latent(query, catalogue), query.k, leave_out=query.item_id)
    return SimilarAnswer(
        items=[
            SimilarItem(**SimilarItem.fields_of(item), distance=distance)
            for item, distance in neighbours
        ]
    )


def _latent(query: SimilarQuery, catalogue: Catalogue) -> NDArray[np.float32]:
    if query.item_id is not None:
        found = catalogue.item(query.item_id)
        if found is None:
            raise ProblemError(
                404, f"no item {query.item_id!r} is registered; POST it to /v1/tokenize"
            )
        return catalogue.latent_of_item(found)
    try:
        if query.text is not None:
            return catalogue.latent_of_text(query.text)
        return catalogue.latent_of_vector(np.asarray(query.vector, dtype=np.float32))
    except InputError as error:
        field = "text" if query.text is not None else "vector"
        raise ProblemError(422, str(error), [FieldError(field, str(error))]) from error
