"""`POST /v1/recommend`: the items that may come next after a history."""

from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from service.engine.problem_error import FieldError, ProblemError
from service.engine.title_filter import with_words
from service.http.messages.bodies import read_model
from service.http.messages.described_bodies import json_body
from service.http.messages.problems import RESPONSES
from service.http.messages.schemas import RecommendAnswer, RecommendedItem, RecommendQuery
from service.http.routes.dependencies import CatalogueDependency, RecommendingDependency
from service.http.routing.threaded import Threaded, body_of

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["recommend"], route_class=Threaded)
_query = TypeAdapter(RecommendQuery)


@router.post(
    "/recommend",
    responses=RESPONSES | {404: {"description": "Not found"}},
    openapi_extra=json_body("RecommendQuery"),
)
def recommend(
    request: Request, catalogue: CatalogueDependency, recommending: RecommendingDependency
) -> RecommendAnswer:
    """Rank the catalogue's items as the next item after each history.

    The recommender reads the last items of a history that it knows: the items of its training and,
    by their codes, those registered since. The answer has the items' IDs by the tokenizer that is
    named, or by the default one, whichever tokenizer the recommender reads. Scores are comparable
    only within one list. `candidates`, `prefix` and `words` say which items may be recommended;
    scores stay what they are among all items.
    """
    query = read_model(_query, body_of(request))
    if recommending is None:
        raise ProblemError(
            404, "this service has no recommender; start semid serve with --recommender"
        )
    recommending.follow()
    single = query.history is not None
    histories = [query.history] if query.history is not None else query.histories or []
    recommender = recommending.recommender
    errors = [
        FieldError(
            "history" if single else f"histories/{row}",
            "has no item" if not history else "has no item that the recommender knows",
        )
        for row, history in enumerate(histories)
        if not any(map(recommender.knows, history))
    ]
    if query.k > len(recommender):
        errors.append(FieldError("k", f"is above the catalogue's {len(recommender)} items"))
    if errors:
        first = errors[0]
        raise ProblemError(422, f"{first['path']}: {first['message']}", errors[:100])
    found = recommending.recommend(
        histories,
        query.k,
        catalogue,
        exclude_seen=query.exclude_seen,
        candidates=with_words(catalogue, query.candidates, query.words),
        prefix=recommending.prefix(query.prefix),
    )
    unknown = recommender.unknown(query.candidates or [])
    return RecommendAnswer(
        recommender=recommender.fingerprint,
        tokenizer=catalogue.pipeline.fingerprint,
        unknown_candidates=len(unknown),
        unknown=unknown[:100],
        lists=[
            [RecommendedItem.of(each.item_id, each.score, item) for each, item in row]
            for row in found
        ],
    )
