"""`POST /v1/search`: the items that answer a query, after a history."""

from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from service.engine.problem_error import FieldError, ProblemError
from service.engine.title_filter import with_words
from service.http.messages.bodies import read_model
from service.http.messages.described_bodies import json_body
from service.http.messages.problems import RESPONSES
from service.http.messages.search_schemas import SearchAnswer, SearchedItem, SearchQuery
from service.http.routes.dependencies import SearchingDependency
from service.http.routing.threaded import Threaded, body_of

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["search"], route_class=Threaded)
_query = TypeAdapter(SearchQuery)


@router.post(
    "/search",
    responses=RESPONSES | {404: {"description": "Not found"}},
    openapi_extra=json_body("SearchQuery"),
)
def search(request: Request, searching: SearchingDependency) -> SearchAnswer:
    """Rank the catalogue's items for a query, a user's history, or both.

    Items are those of the search model's training and, by their codes, those registered since. Its
    IDs are by the tokenizer whose codes it reads. Scores are comparable only within one answer.
    """
    query = read_model(_query, body_of(request))
    if searching is None:
        raise ProblemError(404, "this service has no search model; start semid serve with --search")
    searching.follow()
    searcher = searching.searcher
    if query.query is None and not any(map(searcher.knows, query.history)):
        told = "has no item that the search model knows"
        raise ProblemError(422, f"history: {told}", [FieldError("history", told)])
    if query.query is None and not searcher.history:
        told = "is needed, since this search model reads no history"
        raise ProblemError(422, f"query: {told}", [FieldError("query", told)])
    prefix = [] if query.prefix is None else [int(code) for code in query.prefix.split("-")]
    found = searching.search(
        query.query,
        query.history,
        query.k,
        exclude_seen=query.exclude_seen,
        prefix=prefix,
        candidates=with_words(searching.catalogue, query.candidates, query.words),
    )
    return SearchAnswer(
        items=[SearchedItem.of(each.item_id, each.score, item) for each, item in found],
        search=searcher.fingerprint,
        tokenizer=searcher.tokenizer,
    )
