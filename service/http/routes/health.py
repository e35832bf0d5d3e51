"""`GET /health/live`, `/health/ready` and `/metrics`: what watches the service asks."""

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.engine.problem_error import ProblemError
from service.engine.time_limit import TimeLimit
from service.http.messages.problems import RESPONSES
from service.http.routes.dependencies import HeldDependency

__all__ = ["router"]

router = APIRouter(tags=["health"])
TIMEOUT = 10.0


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Say that the process answers; nothing else is asked."""
    return {"status": "live"}


@router.get("/health/ready", responses=RESPONSES)
async def ready(held: HeldDependency) -> dict[str, str]:
    """Tokenize a text by the default tokenizer and ask the registry, then say that all is ready.

    It does not stand in the queue of items, so that a busy service stays ready; one that is
    stopping is not.
    """
    if held.stopping:
        raise ProblemError(503, "the service is stopping; ask another one")
    async with TimeLimit(TIMEOUT)():
        await asyncio.to_thread(held.named(None).catalogue.check)
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(held: HeldDependency) -> Response:
    """Return the metrics in Prometheus's text format."""
    return Response(held.telemetry.expose(), media_type=CONTENT_TYPE_LATEST)
