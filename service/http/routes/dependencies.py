"""Dependencies that FastAPI passes to routes: tokenizers, catalogue, recommender, search model."""

from typing import Annotated

from fastapi import Depends, Query, Request

from service.engine.catalogue import Catalogue
from service.engine.loaded_tokenizers import LoadedTokenizers
from service.engine.recommending import Recommenders, Recommending
from service.engine.searching import Searching
from service.engine.tokenizing import Tokenizing

__all__ = [
    "NAMES_TOKENIZER",
    "CatalogueDependency",
    "LoadedDependency",
    "SearchingDependency",
    "TokenizingDependency",
    "loaded_of",
    "tokenizing_of",
]

Fingerprint = Annotated[
    str | None,
    Query(description="fingerprint of a tokenizer, or its first characters; else the default"),
]


async def loaded_of(request: Request) -> LoadedTokenizers:
    """Return the loaded tokenizers of the application."""
    loaded: LoadedTokenizers = request.app.state.tokenizers
    return loaded


LoadedDependency = Annotated[LoadedTokenizers, Depends(loaded_of)]


async def _tokenizing(loaded: LoadedDependency, tokenizer: Fingerprint = None) -> Tokenizing:
    return loaded.named(tokenizer)


TokenizingDependency = Annotated[Tokenizing, Depends(_tokenizing)]
NAMES_TOKENIZER = [Depends(_tokenizing)]  # documents ?tokenizer= in OpenAPI; the route parses it


async def _catalogue(tokenizing: TokenizingDependency) -> Catalogue:
    return tokenizing.catalogue


CatalogueDependency = Annotated[Catalogue, Depends(_catalogue)]


def tokenizing_of(request: Request) -> Tokenizing:
    """Return the tokenizer that a request names; for routes that parse the request themselves."""
    loaded: LoadedTokenizers = request.app.state.tokenizers
    asked = request.scope["query_string"]  # mostly empty, and then the parsing is skipped
    return loaded.named(request.query_params.get("tokenizer") if asked else None)


async def _recommending(request: Request, tokenizing: TokenizingDependency) -> Recommending | None:
    recommenders: Recommenders = request.app.state.recommenders
    return recommenders.of(tokenizing.catalogue.pipeline.fingerprint)


RecommendingDependency = Annotated[Recommending | None, Depends(_recommending)]


async def _searching(request: Request) -> Searching | None:
    searching: Searching | None = request.app.state.searching
    return searching


SearchingDependency = Annotated[Searching | None, Depends(_searching)]
