"""The HTTP application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi_offline import FastAPIOffline
from starlette.staticfiles import StaticFiles

from service.catalogue import Catalogue
from service.openapi import describe_bodies
from service.problems import install_problems
from service.routes import ROUTERS
from service.tokenizing import Limits, Tokenizing

__all__ = ["create_app"]

DEFAULT_LIMITS = Limits()
EXPLORER = Path(__file__).parent / "explorer"


def create_app(catalogue: Catalogue, limits: Limits = DEFAULT_LIMITS) -> FastAPI:
    """Return the application over an open catalogue; nothing in it asks the network."""
    tokenizing = Tokenizing(catalogue, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        tokenizing.close()

    app = FastAPIOffline(
        title="semid",
        version=metadata.version("semid"),
        description="Semantic IDs for items: tokenize, look up, find similar.",
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.catalogue = catalogue
    app.state.tokenizing = tokenizing
    install_problems(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/explorer", StaticFiles(directory=EXPLORER), name="explorer")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(EXPLORER / "index.html")

    describe_bodies(app)
    return app
