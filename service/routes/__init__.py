"""One router a noun."""

from service.routes import health, items, similar, tokenize, tokenizer

__all__ = ["ROUTERS"]

ROUTERS = (tokenize.router, items.router, similar.router, tokenizer.router, health.router)
