"""One router a noun; that of health may answer elsewhere."""

from service.routes import bulk, health, id_map, items, similar, tokenize, tokenizer

__all__ = ["ROUTERS", "health"]

ROUTERS = (
    items.direct,
    tokenize.router,
    bulk.router,
    items.router,
    similar.router,
    tokenizer.router,
    id_map.router,
)
