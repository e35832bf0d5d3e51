"""Pages for a browser: the explorer, the API's description, and the kinds of problems."""

from html import escape
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from service.engine.problem_error import ProblemError
from service.http.messages.headers import WITH_PICTURES, policy
from service.http.messages.problems import PROBLEMS, ProblemType

__all__ = ["install_pages"]

EXPLORER = Path(__file__).parent.parent / "explorer"
PAGE = (EXPLORER / "index.html").read_text("utf-8")  # its links begin with a slash
ASSETS = "/static-offline-docs"
PROBLEM_PAGE = (
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title} – semid</title>'
    '<link rel="icon" href="{root}/explorer/icon.svg">'
    '<link rel="stylesheet" href="{root}/explorer/style.css"></head>\n'
    "<body><main>\n{sections}\n</main></body>\n</html>\n"
)
router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(request: Request) -> HTMLResponse:
    """Return the explorer's page; if it shows items' fields, also the pictures that they name."""
    root = escape(request.scope.get("root_path", ""))
    answer = HTMLResponse(PAGE.replace('="/', f'="{root}/'))
    if request.app.state.fields is not None:
        answer.headers["content-security-policy"] = WITH_PICTURES
    return answer


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Return the API's description; its security policy allows only the page's own script."""
    root = request.scope.get("root_path", "")
    answer = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="semid: HTTP interface",
        swagger_js_url=f"{root}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{root}/explorer/icon.svg",
    )
    answer.headers["content-security-policy"] = policy(bytes(answer.body).decode())
    return answer


@router.get("/problems")
async def problems(request: Request) -> HTMLResponse:
    """Return all kinds of problems."""
    return _described(request, "Problems", PROBLEMS)


@router.get("/problems/{name}")
async def problem_type(name: str, request: Request) -> HTMLResponse:
    """Return the description of one kind of problem; a problem document's `type` links to it."""
    found = {status: kind for status, kind in PROBLEMS.items() if kind.name == name}
    if not found:
        raise ProblemError(404, f"no kind of problem is called {name!r}; /problems lists them")
    return _described(request, name, found)


def install_pages(app: FastAPI) -> None:
    """Add the pages and all files that they load."""
    app.include_router(router)
    assets = Path(fastapi_offline.__file__).parent / "static"
    app.mount("/explorer", StaticFiles(directory=EXPLORER), name="explorer")
    app.mount(ASSETS, StaticFiles(directory=assets), name="docs-assets")


def _described(request: Request, title: str, kinds: dict[int, ProblemType]) -> HTMLResponse:
    sections = "\n".join(
        f'<section id="{kind.name}"><h2>{status} {escape(kind.title)}</h2>'
        f"<p>{escape(kind.remedy)}</p></section>"
        for status, kind in kinds.items()
    )
    root = escape(request.scope.get("root_path", ""))
    return HTMLResponse(PROBLEM_PAGE.format(title=escape(title), root=root, sections=sections))
