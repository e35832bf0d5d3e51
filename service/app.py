"""The HTTP application."""

from importlib import metadata
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service.catalogue import Catalogue
from service.headers import SecurityHeaders
from service.pages import install_pages
from service.problems import install_problems
from service.routes import ROUTERS
from service.security import Access, Gate, check_rules, describe_rules

__all__ = ["create_app"]


def create_app(catalogue: Catalogue, access: Access | None = None) -> FastAPI:
    """Return the application over an open catalogue; nothing in it asks the network.

    Args:
        access: whom it answers; everybody, where it is None.
    """
    access = access or Access()
    app = FastAPI(
        title="semid",
        version=metadata.version("semid"),
        description="Semantic IDs for items: tokenize, look up, find similar.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.catalogue = catalogue
    install_problems(app)
    for router in ROUTERS:
        app.include_router(router)
    install_pages(app)
    check_rules(app)
    _describe(app)
    app.add_middleware(Gate, access=access)
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


def _describe(app: FastAPI) -> None:
    plain = app.openapi

    def described() -> dict[str, Any]:
        fresh = app.openapi_schema is None
        document = plain()
        if fresh:
            describe_rules(document)
        return document

    app.openapi = described  # type: ignore[method-assign]
