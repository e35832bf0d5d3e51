"""The HTTP application."""

from importlib import metadata
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi_offline import FastAPIOffline
from starlette.staticfiles import StaticFiles

from service.catalogue import Catalogue
from service.problems import install_problems
from service.routes import ROUTERS

__all__ = ["create_app"]

EXPLORER = Path(__file__).parent / "explorer"


def create_app(catalogue: Catalogue) -> FastAPI:
    """Return the application over an open catalogue; nothing in it asks the network."""
    app = FastAPIOffline(
        title="semid",
        version=metadata.version("semid"),
        description="Semantic IDs for items: tokenize, look up, find similar.",
        redoc_url=None,
    )
    app.state.catalogue = catalogue
    install_problems(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/explorer", StaticFiles(directory=EXPLORER), name="explorer")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(EXPLORER / "index.html")

    return app
