"""`GET /health/live` and `/health/ready`."""

from fastapi import APIRouter

from service.problems import RESPONSES
from service.routes.dependencies import CatalogueDependency

__all__ = ["router"]

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "live"}


@router.get("/ready", responses=RESPONSES)
def ready(catalogue: CatalogueDependency) -> dict[str, str]:
    """Tokenize a text and ask the registry, then say that the service is ready."""
    catalogue.check()
    return {"status": "ready"}
