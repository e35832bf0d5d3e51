"""One router a noun; that of health may answer elsewhere."""

from service.http.routes import bulk, health, id_map, items, recommend, similar, tokenize, tokenizer

__all__ = ["ROUTERS", "health"]

ROUTERS = (
    items.direct,
    tokenize.router,
    bulk.router,
    items.router,
    similar.router,
    recommend.router,
    tokenizer.router,
    id_map.router,
)
