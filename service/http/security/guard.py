"""Access rules: each route's scope and media types, checked before the body is read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from service.engine.problem_error import ProblemError
from service.http.messages.bodies import MSGPACKS, NDJSONS, media_type
from service.http.messages.item_path import FIELDS, ITEM
from service.http.messages.limits import DEFAULT, LIMITS, RequestLimits
from service.http.messages.problems import MEDIA_TYPE, problem_response
from service.http.messages.schemas import Problem
from service.http.security import keys
from service.http.security.body_intake import BodyIntake, too_large
from service.http.security.keys import KeyRing

__all__ = ["RULES", "Access", "Guard", "Rule", "check_rules", "describe_rules"]

JSON = ("application/json",)
SCHEME = "key"


@dataclass(frozen=True)
class Access:
    """Who may use a service, and how large a request may be; without `keys` everybody may use it.

    Attributes:
        hosts: host names that it answers to, beside this machine's; None for any name.
    """

    keys: KeyRing | None = None
    limits: RequestLimits = DEFAULT
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rule:
    """What a route requires of a request.

    Attributes:
        scope: scope that the key must have; None admits everybody.
        media: accepted media types of the body; empty for a route without a body.
        streamed: whether the body is read piece by piece, without a limit on the whole.
    """

    scope: keys.Scope | None
    media: tuple[str, ...] = ()
    streamed: bool = False


OPEN = Rule(None)
READ = Rule("read")
RULES = {
    ("POST", "/v1/tokenize"): Rule("write", (*JSON, *MSGPACKS)),
    ("POST", "/v1/tokenize:bulk"): Rule("write", NDJSONS, streamed=True),
    ("GET", "/v1/items"): READ,
    ("GET", f"/v1{ITEM}"): READ,
    ("DELETE", f"/v1{ITEM}"): Rule("admin"),
    ("GET", "/v1/prefixes"): READ,
    ("GET", f"/v1{FIELDS}"): READ,
    ("POST", "/v1/codes"): Rule("read", JSON),
    ("POST", "/v1/similar"): Rule("read", JSON),
    ("POST", "/v1/recommend"): Rule("read", JSON),
    ("POST", "/v1/search"): Rule("read", JSON),
    ("GET", "/v1/tokenizer"): READ,
    ("GET", "/v1/id-map"): READ,
    ("GET", "/health/live"): OPEN,
    ("GET", "/health/ready"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/problems"): OPEN,
    ("GET", "/problems/{name}"): OPEN,
    ("GET", "/"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/explorer/{path:path}"): OPEN,
    ("GET", "/static-offline-docs/{path:path}"): OPEN,
}
_PATTERNS = [(method, compile_path(path)[0], path) for method, path in RULES]


class Guard:
    """Admits a request if its key has the scope of its route.

    A path without a rule has no route; if the service has keys, a request needs one even to learn
    that. The guard stores the route's template in the ASGI scope as `template`, for `AccessLog`.
    """

    def __init__(self, app: ASGIApp, access: Access, timeout: float) -> None:
        """Guard an application.

        Args:
            timeout: seconds until the next part of a body must have arrived.
        """
        self._app = app
        self._keys = access.keys
        self._limits = access.limits
        self._bodies = BodyIntake(access.limits.most_body, timeout)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        template = _template(method, path)
        rule = None
        if template is not None:
            scope["template"] = template
            rule = RULES[method, template]
        length = _length(request) if rule is not None and rule.media else 0
        refusal = self._refusal(request, rule, length)
        if refusal is None and rule is None and (methods := _methods(path)):
            allow = {"Allow": ", ".join(methods)}
            refusal = ProblemError(405, f"this address accepts {allow['Allow']}", headers=allow)
        if refusal is not None:
            await problem_response(refusal, request)(scope, receive, send)
            return
        LIMITS.set(self._limits)
        if method != scope["method"]:  # HEAD: the server drops the answer's body
            scope = {**scope, "method": method}
        if rule is None or not rule.media or rule.streamed:
            await self._app(scope, receive, send)
            return
        with self._bodies.body(receive, length) as body:
            await self._app(scope, body.receive, send)

    def _refusal(self, request: Request, rule: Rule | None, length: int) -> ProblemError | None:
        if self._keys is not None and rule != OPEN:
            kind, _, presented = request.headers.get("authorization", "").partition(" ")
            holder = self._keys.holder(presented.strip()) if kind.lower() == "bearer" else None
            if holder is None:
                return ProblemError(
                401, "a valid key is needed: Authorization: Bearer semid_…",
                    headers={"WWW-Authenticate": 'Bearer realm="semid"'},
                )  # fmt: skip
            request.scope["key"] = holder.id
            if rule is not None and rule.scope not in holder.scopes:
                has = ", ".join(sorted(holder.scopes))
                return ProblemError(
                403, f"the key has the scope {has}; this request needs {rule.scope}",
                    headers={
                        "WWW-Authenticate":
                        f'Bearer realm="semid", error="insufficient_scope", scope="{rule.scope}"'
                    },
                )  # fmt: skip
        if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
            return ProblemError(400, "the address holds the character NUL, which is not allowed")
        if rule is None:
            return None
        refusal = _body_refusal(request, rule, length, self._limits.most_body)
        if refusal is None and not rule.streamed:
            refusal = self._bodies.refusal(length)
        return refusal


def check_rules(routes: Sequence[BaseRoute]) -> None:
    """Check that every route has a rule and every rule has a route.

    Raises:
        RuntimeError: a route has no rule, or a rule has no route.
    """
    found = set(_addresses(routes))
    if found != RULES.keys():
        raise RuntimeError(
            f"service/http/security/guard.py needs one rule a route: without a rule "
            f"{sorted(found - RULES.keys())}, without a route {sorted(RULES.keys() - found)}"
        )


def describe_rules(document: dict[str, Any]) -> None:
    """Add each route's scope and problem documents to an OpenAPI document."""
    document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    document["components"].setdefault("securitySchemes", {})[SCHEME] = {
        "type": "http",
        "scheme": "bearer",
        "description": "an API key that `semid keys add` printed",
    }
    refusal = {
        "description": "A problem document",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for (method, path), rule in RULES.items():
        operation = document["paths"].get(compile_path(path)[1], {}).get(method.lower())
        if operation is None:
            continue
        operation["responses"]["default"] = refusal
        if rule.scope is not None:
            operation["security"] = [{SCHEME: [rule.scope]}]


def _template(method: str, path: str) -> str | None:
    for known, pattern, template in _PATTERNS:
        if known == method and pattern.match(path):
            return template
    return None


def _methods(path: str) -> list[str]:
    """Return the methods that a path accepts."""
    found = {method for method, pattern, _ in _PATTERNS if pattern.match(path)}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _addresses(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(routes):
        if isinstance(route.original_route, Mount):
            yield "GET", f"{route.path}/{{path:path}}"
        else:
            yield from (
                (method, str(route.path)) for method in route.methods or () if method != "HEAD"
            )


def _body_refusal(request: Request, rule: Rule, length: int, most: int) -> ProblemError | None:
    if not rule.media:
        return None
    media = media_type(request)
    known = "application/json" if media.endswith("+json") else media
    if known not in rule.media:
        given = f"is {media!r}" if media else "is not named"
        return ProblemError(
                415, f"the body's media type {given}; send {' or '.join(rule.media)}",
            headers={"Accept": ", ".join(rule.media)},
        )  # fmt: skip
    if length > most and not rule.streamed:
        return ProblemError(413, too_large(most))
    return None


def _length(request: Request) -> int:
    """Return the length of the body, or 0 if the request does not state it."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdigit() else 0
