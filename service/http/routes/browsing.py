"""`GET /v1/fields/{item_id}` and `POST /v1/codes`: what a person looks at; neither registers."""

import numpy as np
from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from data_prep.errors import InputError
from service.engine.browsing.item_fields import ItemFields
from service.engine.problem_error import FieldError, ProblemError
from service.http.messages.bodies import read_model
from service.http.messages.browsing_schemas import CodesAnswer, CodesQuery, FieldsAnswer
from service.http.messages.described_bodies import json_body
from service.http.messages.item_path import FIELDS
from service.http.messages.problems import RESPONSES
from service.http.routes.dependencies import CatalogueDependency
from service.http.routing.threaded import Threaded, body_of
from tokenizer.ids.semantic_id import format_semantic_id

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["items"], route_class=Threaded)
_query = TypeAdapter(CodesQuery)


@router.get(FIELDS, responses=RESPONSES | {404: {"description": "Not found"}})
def item_fields(request: Request, item_id: str) -> FieldsAnswer:
    """Return the fields of an item as the service's catalogue has them.

    The catalogue is the file that `semid serve --catalogue` read at the start.
    """
    catalogue: ItemFields | None = request.app.state.fields
    if catalogue is None:
        raise ProblemError(404, "this service has no catalogue; start semid serve with --catalogue")
    found = catalogue.of(item_id)
    if found is None:
        unknown = FieldError("item_id", "is not in the catalogue")
        raise ProblemError(404, f"no item {item_id!r} is in the catalogue", [unknown])
    return FieldsAnswer(item_id=item_id, fields=found)


@router.post("/codes", responses=RESPONSES, openapi_extra=json_body("CodesQuery"))
def codes(request: Request, catalogue: CatalogueDependency) -> CodesAnswer:
    """Return the codes that a text or a vector would get; no item is registered."""
    asked = read_model(_query, body_of(request))
    pipeline = catalogue.pipeline
    try:
        vectors = (
            pipeline.embed([asked.text])
            if asked.text is not None
            else np.asarray([asked.vector], dtype=np.float32)
        )
        tokenized = pipeline.tokenize(vectors)
    except InputError as error:
        field = "text" if asked.text is not None else "vector"
        raise ProblemError(422, str(error), [FieldError(field, str(error))]) from error
    own: list[int] = tokenized.codes[0].tolist()
    return CodesAnswer(
        codes=own,
        prefix=format_semantic_id(own),
        distortion=float(tokenized.distortion[0]),
        items=[
            catalogue.registry.count_with_prefix(tuple(own[:length]))
            for length in range(1, len(own) + 1)
        ],
        tokenizer=pipeline.fingerprint,
    )
