"""`GET /health/live`, `/health/ready` and `/metrics`, for probes and monitoring."""

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.engine.problem_error import ProblemError
from service.engine.time_limit import TimeLimit
from service.http.messages.problems import RESPONSES
from service.http.routes.dependencies import LoadedDependency

__all__ = ["router"]

router = APIRouter(tags=["health"])
TIMEOUT = 10.0  # seconds


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Answer that the process is alive; nothing else is checked."""
    return {"status": "live"}


@router.get("/health/ready", responses=RESPONSES)
async def ready(loaded: LoadedDependency) -> dict[str, str]:
    """Check the default tokenizer, on a text if it has an encoder, and the registry.

    The check does not wait in the queue of items, so a busy service stays ready. A service that is
    stopping is not ready.
    """
    if loaded.stopping:
        raise ProblemError(503, "the service is stopping; ask another one")
    async with TimeLimit(TIMEOUT)():
        await asyncio.to_thread(loaded.named(None).catalogue.check)
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(loaded: LoadedDependency) -> Response:
    """Return the metrics in Prometheus's text format."""
    return Response(loaded.telemetry.expose(), media_type=CONTENT_TYPE_LATEST)
