"""`GET /v1/id-map`: maps the IDs of one tokenizer to those of another."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.http.messages.problems import RESPONSES
from service.http.messages.schemas import IdMapPage, MappedId
from service.http.routes.dependencies import CatalogueDependency
from service.http.routing.threaded import Threaded
from service.registry.id_map import mapped_ids
from service.registry.tokenizers import named_tokenizer

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["tokenizer"], route_class=Threaded)
Fingerprint = Annotated[str, Query(min_length=1, max_length=64)]


@router.get("/id-map", responses=RESPONSES)
def id_map(
    catalogue: CatalogueDependency,
    old: Annotated[Fingerprint, Query(alias="from")],
    new: Annotated[Fingerprint, Query(alias="to")],
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the previous page")] = 0,
) -> IdMapPage:
    """Return each item's ID by the tokenizer `from` and by `to`; null if it has none by `to` yet.

    `from` and `to` are fingerprints, or their first characters, of tokenizers in the registry.
    """
    with catalogue.registry.database.reading() as connection:
        pair = named_tokenizer(connection, old), named_tokenizer(connection, new)
        rows = mapped_ids(connection, *pair, after, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    return IdMapPage(
        items=[MappedId(item_id=row.item_id, old=row.old, new=row.new) for row in rows],
        next=rows[-1].number if more else None,
    )
