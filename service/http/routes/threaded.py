"""Routes whose endpoints are done in a thread of the pool."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Threaded"]


class Threaded(APIRoute):
    """Lets as many requests wait for a thread as may wait for a batch, each for as long.

    More are answered 429. One that takes too long is answered 503; it counts until its thread has
    ended what it does.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            threads = request.app.state.held.threads

            async def counted() -> Response:
                with threads.admitted(1):
                    return await handler(request)

            doing = asyncio.create_task(counted())
            doing.add_done_callback(_hear)
            async with threads.in_time():
                return await asyncio.shield(doing)

        return bounded


def _hear(done: asyncio.Task[Response]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not done.cancelled():
        done.exception()
