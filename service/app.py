"""The HTTP application."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.catalogue import Catalogue
from service.headers import SecurityHeaders
from service.held import HeldTokenizers
from service.openapi import describe
from service.pages import install_pages
from service.problems import install_problems
from service.routes import ROUTERS
from service.security import Access, Guard, check_rules
from service.tokenizing import Limits, Tokenizing

__all__ = ["create_app"]

ANYBODY = Access()
DEFAULT_LIMITS = Limits()


def create_app(
    catalogue: Catalogue,
    access: Access = ANYBODY,
    limits: Limits = DEFAULT_LIMITS,
    others: Sequence[Catalogue] = (),
) -> FastAPI:
    """Return the application over an open catalogue; nothing in it asks the network.

    Args:
        others: catalogues of further tokenizers, in the same database.
    """
    held = HeldTokenizers([Tokenizing(one, limits) for one in (catalogue, *others)])

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with held.refreshed():
            yield
        for one in held:
            one.close()

    app = FastAPI(
        title="semid",
        version=metadata.version("semid"),
        description="Semantic IDs for items: tokenize, look up, find similar.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.held = held
    install_problems(app)
    for router in ROUTERS:
        app.include_router(router)
    install_pages(app)
    check_rules(app)
    describe(app)
    app.add_middleware(Guard, access=access)
    if access.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.cors_origins,
            allow_methods=["GET", "POST", "DELETE", "PUT"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(SecurityHeaders)
    return app
