"""The HTTP application."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi_offline import FastAPIOffline
from starlette.staticfiles import StaticFiles

from service.catalogue import Catalogue
from service.held import HeldTokenizers
from service.openapi import describe_bodies
from service.problems import install_problems
from service.routes import ROUTERS
from service.tokenizing import Limits, Tokenizing

__all__ = ["create_app"]

DEFAULT_LIMITS = Limits()
EXPLORER = Path(__file__).parent / "explorer"


def create_app(
    catalogue: Catalogue, limits: Limits = DEFAULT_LIMITS, others: Sequence[Catalogue] = ()
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

    app = FastAPIOffline(
        title="semid",
        version=metadata.version("semid"),
        description="Semantic IDs for items: tokenize, look up, find similar.",
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.held = held
    install_problems(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/explorer", StaticFiles(directory=EXPLORER), name="explorer")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(EXPLORER / "index.html")

    describe_bodies(app)
    return app
