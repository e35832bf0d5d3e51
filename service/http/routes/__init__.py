"""The API's routers, one for each resource; the health router may run in another application."""

from service.http.routes import (
    browsing,
    bulk,
    health,
    id_map,
    items,
    recommend,
    search,
    similar,
    tokenize,
    tokenizer,
)

__all__ = ["ROUTERS", "health"]

ROUTERS = (
    items.direct,
    tokenize.router,
    bulk.router,
    items.router,
    browsing.router,
    similar.router,
    recommend.router,
    search.router,
    tokenizer.router,
    id_map.router,
)
