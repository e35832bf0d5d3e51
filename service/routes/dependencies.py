"""What routes are given."""

from typing import Annotated

from fastapi import Depends, Query, Request

from service.catalogue import Catalogue
from service.held import HeldTokenizers
from service.tokenizing import Tokenizing

__all__ = ["CatalogueDependency", "HeldDependency", "TokenizingDependency"]

Fingerprint = Annotated[
    str | None,
    Query(
        max_length=64,
        description="fingerprint of the tokenizer, or how it starts; without, the default one",
    ),
]


async def _held(request: Request) -> HeldTokenizers:
    held: HeldTokenizers = request.app.state.held
    return held


HeldDependency = Annotated[HeldTokenizers, Depends(_held)]


async def _tokenizing(held: HeldDependency, tokenizer: Fingerprint = None) -> Tokenizing:
    return held.named(tokenizer)


TokenizingDependency = Annotated[Tokenizing, Depends(_tokenizing)]


async def _catalogue(tokenizing: TokenizingDependency) -> Catalogue:
    return tokenizing.catalogue


CatalogueDependency = Annotated[Catalogue, Depends(_catalogue)]
