"""Names that a service answers to, so that a web page cannot reach it under a name of its own."""

import re
from collections.abc import Collection
from ipaddress import ip_address

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.engine.problem_error import ProblemError
from service.http.messages.problems import problem_response

__all__ = ["Hosts", "host_fault"]

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/?#@\s]+)(:\d*)?")


class Hosts:
    """Answers requests for this machine or an allowed host, and no others.

    A page of evil.example can have its name mean 127.0.0.1 from one moment to the next (DNS
    rebinding): the browser then lets it ask and read the service, but names evil.example as host.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        """Guard an application.

        Args:
            allowed: names beside those of this machine.
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
        name = _name(host)
        return name in self._allowed or _is_loopback(name)


def host_fault(host: str) -> str | None:
    """Return what is wrong with the name of an allowed host, or None."""
    if not host or host != host.lower() or "*" in host or _name(host) != host:
        return f"{host!r} is no host in small letters without a port, such as semid.example"
    return None


def _refusal(host: str) -> ProblemError:
    return ProblemError(
        421,
        f"this service does not answer to the host {host!r}; ask it by localhost, or start it with "
        f"--allowed-host for that name",
    )


def _name(host: str) -> str:
    """Return the name in a header Host, without its port and brackets; empty for what is none."""
    found = _HOST.fullmatch(host.strip().lower())
    return "" if found is None else found[1].strip("[]").removesuffix(".")


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
