"""Checks the Host header, so that a web page cannot reach the service under its own domain name."""

from collections.abc import Collection

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.engine.problem_error import ProblemError
from service.http.messages.problems import problem_response
from service.http.security.host_names import host_name, is_loopback

__all__ = ["Hosts"]


class Hosts:
    """Answers only requests whose Host header names this machine or an allowed host.

    The owner of evil.example can point that name at 127.0.0.1 after a page has loaded (DNS
    rebinding). The browser then lets the page read the service, but it sends Host: evil.example.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        """Guard an application.

        Args:
            allowed: host names that are accepted besides this machine's.
        """
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for header, value in scope["headers"]:
                if header == b"host" and not self._answers_to(value.decode("latin-1")):
                    refusal = _refusal(value.decode("latin-1"))
                    await problem_response(refusal, Request(scope))(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _answers_to(self, host: str) -> bool:
        name = host_name(host)
        return name in self._allowed or is_loopback(name)


def _refusal(host: str) -> ProblemError:
    return ProblemError(
        421,
        f"this service does not answer to the host {host!r}; use localhost, or start it with "
        f"--allowed-host for that name",
    )
