"""The HTTP application."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from random import getrandbits

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware

from recsys.recommender import Recommender
from recsys.search.searcher import Searcher
from service.engine.browsing.item_fields import ItemFields
from service.engine.capacity import Capacity
from service.engine.catalogue import Catalogue
from service.engine.loaded_tokenizers import LoadedTokenizers
from service.engine.recommending import Recommenders
from service.engine.searching import Searching
from service.http.access_log import AccessLog
from service.http.messages.headers import SecurityHeaders
from service.http.messages.problems import install_problems
from service.http.openapi import describe
from service.http.pages import install_pages
from service.http.routes import ROUTERS, health
from service.http.security.guard import Access, Guard, check_rules
from service.http.security.hosts import Hosts

__all__ = ["create_app", "create_health_app"]

OPEN_ACCESS = Access()
DEFAULT_CAPACITY = Capacity()
# FastAPI's telemetry looks for a collector in every request; ours is `service.observability`.
NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False)


def create_app(
    catalogue: Catalogue,
    access: Access = OPEN_ACCESS,
    capacity: Capacity = DEFAULT_CAPACITY,
    others: Sequence[Catalogue] = (),
    health_elsewhere: bool = False,
    recommenders: Sequence[Recommender] = (),
    searcher: Searcher | None = None,
    fields: ItemFields | None = None,
) -> FastAPI:
    """Return the application that serves an open catalogue; it loads nothing from the network.

    Args:
        others: catalogues of further tokenizers, in the same database.
        health_elsewhere: whether to leave health and metrics to `create_health_app`.
        fields: the fields of the items, for /v1/fields.
        recommenders: the models that answer /v1/recommend, at most one for each tokenizer.
        searcher: the model that answers /v1/search.

    Raises:
        InputError: a recommender or the search model reads the IDs of another tokenizer than these.
    """
    loaded = LoadedTokenizers((catalogue, *others), capacity)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with loaded.refreshed():
            yield
        loaded.close()

    app = FastAPI(
        title="semid",
        version=metadata.version("semid"),
        description="Semantic IDs for items: tokenize, look up, find similar.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry=NO_TELEMETRY,
    )
    app.state.tokenizers = loaded
    app.state.fields = fields
    app.state.recommenders = Recommenders(recommenders, (catalogue, *others))
    app.state.searching = None if searcher is None else Searching(searcher, (catalogue, *others))
    install_problems(app)
    for router in ROUTERS:
        # include_router would match each route twice in every request.
        app.router.routes.extend(router.routes)
    if not health_elsewhere:
        app.router.routes.extend(health.router.routes)
    install_pages(app)
    check_rules([*app.routes, *(health.router.routes if health_elsewhere else ())])
    describe(app)
    # The middleware added last runs first: so every answer has a request ID and is counted.
    app.add_middleware(Guard, access=access, timeout=capacity.timeout)
    if access.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    if access.hosts is not None:
        app.add_middleware(Hosts, allowed=access.hosts)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AccessLog, telemetry=loaded.telemetry)
    app.add_middleware(CorrelationIdMiddleware, update_request_header=False, generator=_request_id)
    return app


def _request_id() -> str:
    """Return a request's ID; it need not be secret, so `random` does and saves a system call."""
    return f"{getrandbits(128):032x}"


def create_health_app(app: FastAPI, hosts: tuple[str, ...] | None = None) -> FastAPI:
    """Return an application that serves only the health and metrics of `app`.

    Args:
        hosts: as in `Access`.
    """
    health_app = FastAPI(title="semid", openapi_url=None, telemetry=NO_TELEMETRY)
    health_app.state.tokenizers = app.state.tokenizers
    install_problems(health_app)
    health_app.router.routes.extend(health.router.routes)
    if hosts is not None:
        health_app.add_middleware(Hosts, allowed=hosts)
    health_app.add_middleware(SecurityHeaders)
    return health_app
