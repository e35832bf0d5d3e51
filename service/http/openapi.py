"""The OpenAPI document of the interface."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from service.http.messages.browsing_schemas import CodesQuery
from service.http.messages.described_bodies import REFERENCE
from service.http.messages.schemas import (
    ItemToTokenize,
    RecommendQuery,
    SimilarQuery,
    TokenizeRequest,
)
from service.http.messages.search_schemas import SearchQuery
from service.http.security.guard import describe_rules

__all__ = ["describe"]

BODIES = (
    TokenizeRequest,
    ItemToTokenize,
    SimilarQuery,
    RecommendQuery,
    CodesQuery,
    SearchQuery,
)


def describe(app: FastAPI) -> None:
    """Add to the app's OpenAPI document the schemas of the bodies and each route's scope."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _, found = models_json_schema(
                [(model, "validation") for model in BODIES],
                ref_template=REFERENCE,
            )
            document = generate()
            document["components"]["schemas"] |= found["$defs"]
            describe_rules(document)
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]
