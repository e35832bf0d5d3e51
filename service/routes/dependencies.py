"""What routes are given."""

from typing import Annotated

from fastapi import Depends, Request

from service.catalogue import Catalogue
from service.tokenizing import Tokenizing

__all__ = ["CatalogueDependency", "TokenizingDependency"]


async def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


async def _tokenizing(request: Request) -> Tokenizing:
    tokenizing: Tokenizing = request.app.state.tokenizing
    return tokenizing


CatalogueDependency = Annotated[Catalogue, Depends(_catalogue)]
TokenizingDependency = Annotated[Tokenizing, Depends(_tokenizing)]
