"""schemathesis: nothing that the OpenAPI document allows, or forbids, fells the service."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.http.messages.problems import PROBLEMS
from service.http.security.guard import RULES, Access
from tests.service.http.listening import listening_at

Make = Callable[[Access], FastAPI]
OPERATIONS = [(method, path) for method, path in RULES if path.startswith(("/v1", "/health"))]
CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
MODES = list(GenerationMode)
QUICK, LONG = 15, 1000  # examples of an operation in a mode; the long proof has 10,000 and more


@schemathesis.serializer("application/x-ndjson")
def _line(_: Any, value: Any) -> bytes:
    """Return a body of one line."""
    return json.dumps(value).encode() + b"\n"


@schemathesis.deserializer("application/x-ndjson")
def _first_line(_: Any, response: Any) -> Any:
    lines = response.content.splitlines()
    return json.loads(lines[0]) if lines else None


@pytest.fixture(scope="module")
def interface(application: Make) -> Iterator[Any]:
    """Return the description of a service that listens."""
    with listening_at(application(Access())) as address:
        yield schemathesis.openapi.from_url(f"{address}/openapi.json")


def _asked(interface: Any, method: str, path: str, mode: GenerationMode, examples: int) -> int:
    """Send what schemathesis makes of an operation's description; return how many were sent."""
    operation = interface[path.replace(":any}", "}")][method]
    if mode == GenerationMode.NEGATIVE and not (
        operation.body or list(operation.iter_parameters())
    ):
        return 0  # it takes nothing that could be wrong
    asked = 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def send(case: Any) -> None:
        nonlocal asked
        asked += 1
        answer = case.call(session=session)
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == ["application/problem+json"]
            assert answer.json()["type"] == f"/problems/{PROBLEMS[answer.status_code].name}"

    with requests.Session() as session:
        send()
    return asked


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_interface_is_as_described(
    interface: Any, method: str, path: str, mode: GenerationMode
) -> None:
    _asked(interface, method, path, mode, QUICK)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_requests_end_without_a_failure(interface: Any) -> None:
    asked = sum(
        _asked(interface, method, path, mode, LONG) for method, path in OPERATIONS for mode in MODES
    )
    print(f"schemathesis: {asked:,} requests, no 5xx")
    assert asked >= 10_000
