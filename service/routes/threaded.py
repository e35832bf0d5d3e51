"""Routes whose endpoints are done in a thread of the pool."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Threaded"]


class Threaded(APIRoute):
    """Lets as many requests wait for a thread as may wait for a batch, each for as long.

    More are answered 429. One that takes too long is answered 503, and its thread ends what it
    does.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            async with request.app.state.held.threads.answering(1):
                return await handler(request)

        return bounded
