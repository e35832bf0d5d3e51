"""The HTTP application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.catalogue import Catalogue
from service.headers import SecurityHeaders
from service.observed import Observed
from service.openapi import describe
from service.pace import Pace
from service.pages import install_pages
from service.problems import install_problems
from service.routes import ROUTERS, health
from service.security import Access, Guard, check_rules
from service.tokenizing import Tokenizing

__all__ = ["create_app", "create_health_app"]

ANYBODY = Access()
DEFAULT_PACE = Pace()


def create_app(
    catalogue: Catalogue,
    access: Access = ANYBODY,
    pace: Pace = DEFAULT_PACE,
    health_elsewhere: bool = False,
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

    app = FastAPI(
        title="semid",
        version=metadata.version("semid"),
        description="Semantic IDs for items: tokenize, look up, find similar.",
        docs_url=None,
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
    install_pages(app)
    if not health_elsewhere:
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
    app.add_middleware(Observed, telemetry=tokenizing.telemetry)
    app.add_middleware(CorrelationIdMiddleware, update_request_header=False)
    return app


def create_health_app(app: FastAPI) -> FastAPI:
    """Return an application that answers for the health and metrics of `app`, and nothing else."""
    beside = FastAPI(title="semid", openapi_url=None)
    beside.state.tokenizing = app.state.tokenizing
    install_problems(beside)
    beside.router.routes.extend(health.router.routes)
    return beside
