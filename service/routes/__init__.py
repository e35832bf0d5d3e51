"""One router a noun."""

from service.routes import health, id_map, items, similar, tokenize, tokenizer

__all__ = ["ROUTERS"]

ROUTERS = (
    tokenize.router,
    items.router,
    similar.router,
    tokenizer.router,
    id_map.router,
    health.router,
)
