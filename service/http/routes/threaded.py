"""Routes whose endpoints are done in a thread of the pool."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Threaded", "body_of"]


class Threaded(APIRoute):
    """Lets as many requests wait for a thread as may wait for a batch, each for as long.

    More are answered 429. One that takes too long is answered 503; it counts until its thread has
    ended what it does. A body is read before the seconds begin, so that one that stalls is a 408;
    the endpoint finds it by `body_of` and reads it in its thread, where a long one stops nobody.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            threads = request.app.state.held.threads
            threads.check()
            if request.method == "POST":
                request.state.body = await request.body()

            async def counted() -> Response:
                with threads.admitted(1):
                    return await handler(request)

            doing = asyncio.create_task(counted())
            doing.add_done_callback(_hear)
            async with threads.in_time():
                return await asyncio.shield(doing)

        return bounded


def body_of(request: Request) -> bytes:
    """Return the body of a POST request to a `Threaded` route."""
    body: bytes = request.state.body
    return body


def _hear(done: asyncio.Task[Response]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not done.cancelled():
        done.exception()
