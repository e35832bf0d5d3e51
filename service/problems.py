"""Every error as an RFC 9457 problem document."""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from data_prep.errors import InputError

__all__ = ["RESPONSES", "FieldError", "ProblemError", "install_problems"]

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Malformed request",
    404: "Not found",
    405: "Method not allowed",
    422: "Invalid input",
    500: "Internal error",
    503: "Not available",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": TITLES[status], "content": {MEDIA_TYPE: {}}}
    for status in (400, 422, 503)
}
logger = logging.getLogger("semid")


class FieldError(dict[str, str]):
    """One wrong field: `path` from the body's root, such as `items/3/vector`, and `message`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path=path, message=message)


class ProblemError(Exception):
    """Ends a request with a problem document."""

    def __init__(self, status: int, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)


def install_problems(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    @app.exception_handler(ProblemError)
    def _problem(request: Request, error: ProblemError) -> JSONResponse:
        return _document(request, error.status, error.detail, error.errors)

    @app.exception_handler(InputError)
    def _input(request: Request, error: InputError) -> JSONResponse:
        return _document(request, 422, str(error))

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = error.errors()
        if any(part["type"] == "json_invalid" for part in wrong):
            reason = wrong[0].get("ctx", {}).get("error", "")
            position = wrong[0]["loc"][-1]
            return _document(
                request, 400, f"the body is not JSON: {reason} at character {position}"
            )
        errors = [FieldError("/".join(map(str, part["loc"][1:])), part["msg"]) for part in wrong]
        first = errors[0]
        return _document(
            request, 422, f"{first['path'] or 'the body'}: {first['message']}", errors[:100]
        )

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        response = _document(request, error.status_code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(SQLAlchemyError)
    def _database(request: Request, error: SQLAlchemyError) -> JSONResponse:
        logger.error("database: %s", getattr(error, "orig", None) or error)
        return _document(request, 503, "the registry's database does not answer; try again later")

    @app.exception_handler(Exception)
    def _unexpected(request: Request, _: Exception) -> JSONResponse:
        return _document(request, 500, "the service failed to answer; its log has the cause")


def _document(
    request: Request, status: int, detail: str, errors: Sequence[FieldError] = ()
) -> JSONResponse:
    title = TITLES.get(status, "Error")
    body: dict[str, Any] = {
        "type": "urn:semid:problem:" + title.lower().replace(" ", "-"),
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, media_type=MEDIA_TYPE)
