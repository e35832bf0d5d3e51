"""Routes whose endpoints run in a thread of the pool."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["Threaded", "body_of"]


class Threaded(APIRoute):
    """Limits how many requests wait for a thread, and how long; the limits are those of batches.

    Requests beyond the limit get 429. A late request gets 503, but it counts until its thread has
    finished. The body is read before the time-out starts, so a stalled body gets 408. The endpoint
    takes the body from `body_of` and parses it in its thread, so a long body blocks nobody.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            threads = request.app.state.tokenizers.threads
            threads.check()
            if request.method == "POST":
                request.state.body = await request.body()

            async def counted() -> Response:
                with threads.admitted(1):
                    return await handler(request)

            doing = asyncio.create_task(counted())
            doing.add_done_callback(_retrieve_error)
            async with threads.in_time():
                return await asyncio.shield(doing)

        return bounded


def body_of(request: Request) -> bytes:
    """Return the body of a POST request to a `Threaded` route."""
    body: bytes = request.state.body
    return body


def _retrieve_error(done: asyncio.Task[Response]) -> None:
    """Retrieve the error of an abandoned request, so that asyncio does not log it."""
    if not done.cancelled():
        done.exception()
