"""A class for the busiest routes: their endpoints parse the request themselves."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["Direct"]


class Direct(APIRoute):
    """Calls its endpoint with the request and the path's parameters, and sends the response.

    FastAPI only documents such a route, with the parameters of its dependencies. It does not run
    dependencies, checks or serialization, because they take longer than the work on one item.
    """

    def __init__(self, path: str, endpoint: Callable[..., Awaitable[Response]], **how: Any) -> None:
        super().__init__(path, endpoint, **how)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send), **scope["path_params"])
            await response(scope, receive, send)

        self.app = app
