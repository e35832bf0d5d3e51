"""Times, counts and logs each request under the template of its route."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.observability.telemetry import Telemetry

__all__ = ["AccessLog"]

NOT_LOGGED = ("/health/live", "/health/ready", "/metrics")
log = structlog.get_logger("semid")


class AccessLog:
    """Reports every answer to the metrics and the log; the log leaves out the query string."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method = scope["method"]
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - started
            route = scope.get("template", "unmatched")
            self._telemetry.answered(method, route, status, seconds)
            if route not in NOT_LOGGED:
                log.info(
                    "request", method=method, path=scope["path"], route=route,
                    status=status, seconds=round(seconds, 6), **_key(scope),
                )  # fmt: skip


def _key(scope: Scope) -> dict[str, str]:
    """Return the public id of the request's key, as `semid keys list` shows it."""
    return {"key": scope["key"]} if "key" in scope else {}
