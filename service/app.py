"""The HTTP application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi_offline import FastAPIOffline
from starlette.staticfiles import StaticFiles

from service.catalogue import Catalogue
from service.observed import Observed
from service.openapi import describe_bodies
from service.pace import Pace
from service.problems import install_problems
from service.routes import ROUTERS, health
from service.tokenizing import Tokenizing

__all__ = ["create_app", "create_health_app"]

DEFAULT_PACE = Pace()
EXPLORER = Path(__file__).parent / "explorer"


def create_app(
    catalogue: Catalogue, pace: Pace = DEFAULT_PACE, health_elsewhere: bool = False
) -> FastAPI:
    """Return the application over an open catalogue; nothing in it asks the network.

    Args:
        health_elsewhere: leave health and metrics to `create_health_app`.
    """
    tokenizing = Tokenizing(catalogue, pace)

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
        # Not include_router, which has each of its routes matched twice a request.
        app.router.routes.extend(router.routes)
    if not health_elsewhere:
        app.router.routes.extend(health.router.routes)
    app.mount("/explorer", StaticFiles(directory=EXPLORER), name="explorer")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(EXPLORER / "index.html")

    describe_bodies(app)
    app.add_middleware(Observed, telemetry=tokenizing.telemetry)
    app.add_middleware(CorrelationIdMiddleware)
    return app


def create_health_app(app: FastAPI) -> FastAPI:
    """Return an application that answers for the health and metrics of `app`, and nothing else."""
    beside = FastAPI(title="semid", openapi_url=None)
    beside.state.tokenizing = app.state.tokenizing
    install_problems(beside)
    beside.router.routes.extend(health.router.routes)
    return beside
