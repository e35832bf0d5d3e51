"""What routes are given."""

from typing import Annotated

from fastapi import Depends, Request

from service.catalogue import Catalogue

__all__ = ["CatalogueDependency"]


def _catalogue(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


CatalogueDependency = Annotated[Catalogue, Depends(_catalogue)]
