"""Routes that are asked most: their endpoints read the request themselves."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Direct"]


class Direct(APIRoute):
    """Calls its endpoint with the request and the path's parameters, and sends the response.

    FastAPI describes such a route, with what its dependencies take, and does nothing else for it:
    its dependencies, checks and serialization take longer than the work of one item.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint

        async def handler(request: Request) -> Response:
            response: Response = await endpoint(request, **request.path_params)
            return response

        return handler
