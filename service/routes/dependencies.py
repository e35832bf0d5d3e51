"""What routes are given."""

from typing import Annotated

from fastapi import Depends, Request

from service.catalogue import Catalogue
from service.tokenizing import Tokenizing

__all__ = ["CatalogueDependency", "tokenizing_of"]


async def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


CatalogueDependency = Annotated[Catalogue, Depends(_catalogue)]


def tokenizing_of(request: Request) -> Tokenizing:
    """Return what a request's items are tokenized and looked up by."""
    tokenizing: Tokenizing = request.app.state.tokenizing
    return tokenizing
