"""Every error as an RFC 9457 problem document."""

import errno
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from data_prep.errors import InputError
from service.headers import HEADERS

__all__ = [
    "MEDIA_TYPE",
    "PROBLEMS",
    "RESPONSES",
    "FieldError",
    "Problem",
    "ProblemError",
    "ProblemType",
    "install_problems",
    "problem",
]

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(description="address of the kind's description")
    title: str
    status: int
    detail: str = Field(description="what is wrong, and what would be right")
    instance: str = Field(description="path of the request")
    errors: list[dict[str, str]] = Field(
        default=[], description="each wrong field: path from the body's root, and message"
    )


class ProblemType(NamedTuple):
    """A kind of problem: the last part of its `type`, its title, and what to do about it."""

    name: str
    title: str
    remedy: str


PROBLEMS = {
    400: ProblemType(
        "malformed-request", "Malformed request",
        "The request cannot be read, so nothing was done. Mend what `detail` names; a client that "
        "makes the body with a JSON library does not meet this.",
    ),
    401: ProblemType(
        "key-needed", "A key is needed",
        "Send Authorization: Bearer with a key that semid keys add printed and nobody revoked.",
    ),
    403: ProblemType(
        "scope-missing", "The key does not allow this",
        "The key is right, but its scopes do not include the route's. Use another, or have one "
        "made with semid keys add --scope.",
    ),
    404: ProblemType(
        "not-found", "Not found",
        "Nothing is at this address, or no such item is registered. /docs lists the addresses; "
        "POST /v1/tokenize registers items.",
    ),
    405: ProblemType(
        "method-not-allowed", "Method not allowed",
        "The address exists for other methods; the header Allow names them.",
    ),
    413: ProblemType(
        "too-large", "Body too large",
        "Nothing was done. Send fewer items at once; GET /v1/tokenizer tells the limits.",
    ),
    415: ProblemType(
        "media-type", "Unsupported media type",
        "Name the body's media type in the header Content-Type; the header Accept of the answer "
        "lists what is taken.",
    ),
    422: ProblemType(
        "invalid-input", "Invalid input",
        "The request can be read but not done, and nothing of it was. `errors` lists each wrong "
        "field by its path from the body's root, such as items/3/vector.",
    ),
    429: ProblemType(
        "too-many-requests", "Too many requests",
        "The service has more waiting than it can answer soon, and did nothing. Send the request "
        "again after as many seconds as the header Retry-After says.",
    ),
    500: ProblemType(
        "internal-error", "Internal error",
        "A fault of the service; its log has the cause. The same request may be sent again: an "
        "item that was registered keeps its ID.",
    ),
    503: ProblemType(
        "not-available", "Not available",
        "The service starts, stops, or its database does not answer. Send the request again later; "
        "an item that was registered keeps its ID.",
    ),
    504: ProblemType(
        "timeout", "Took too long",
        "The answer was not ready in time. Send the request again, with fewer items.",
    ),
    507: ProblemType(
        "storage-full", "Storage full",
        "The registry's disk is full, and nothing was registered. Reading goes on; the service's "
        "owner must make room.",
    ),
}  # fmt: skip


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": PROBLEMS[status].title, "content": {MEDIA_TYPE: {}}}
    for status in (400, 422, 503)
}
logger = logging.getLogger("semid")


class FieldError(dict[str, str]):
    """One wrong field: `path` from the body's root, such as `items/3/vector`, and `message`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path=path, message=message)


class ProblemError(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers


def problem(
    request: Request,
    status: int,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the problem document that answers a request."""
    known = PROBLEMS.get(status)
    root = request.scope.get("app_root_path", request.scope.get("root_path", ""))
    body: dict[str, Any] = {
        "type": f"{root}/problems/{known.name}" if known else "about:blank",
        "title": known.title if known else HTTPStatus(status).phrase,
        "status": status,
        "detail": _encodable(detail),
        "instance": _encodable(request.url.path),
    }
    if errors:
        body["errors"] = [
            {name: _encodable(text) for name, text in error.items()}
            for error in errors[:MOST_ERRORS]
        ]
    # A failure inside is answered outside of what else adds these headers.
    return JSONResponse(body, status, headers=HEADERS | dict(headers or {}), media_type=MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    @app.exception_handler(ProblemError)
    def _problem(request: Request, error: ProblemError) -> JSONResponse:
        return problem(request, error.status, error.detail, error.errors, error.headers)

    @app.exception_handler(InputError)
    def _input(request: Request, error: InputError) -> JSONResponse:
        return problem(request, 422, str(error))

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = error.errors()
        if any(part["type"] == "json_invalid" for part in wrong):
            reason = wrong[0].get("ctx", {}).get("error", "")
            position = wrong[0]["loc"][-1]
            return problem(request, 400, f"the body is not JSON: {reason} at character {position}")
        errors = [FieldError("/".join(map(str, part["loc"][1:])), part["msg"]) for part in wrong]
        first = errors[0]
        return problem(request, 422, f"{first['path'] or 'the body'}: {first['message']}", errors)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        return problem(request, error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(SQLAlchemyError)
    def _database(request: Request, error: SQLAlchemyError) -> JSONResponse:
        cause = getattr(error, "orig", None)
        logger.error("database: %s", cause or error)
        if _is_full(cause):
            return problem(request, 507, "the registry's disk is full; nothing was registered")
        return problem(request, 503, "the registry's database does not answer; try again later")

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return problem(request, 507, "the service's disk is full; nothing was registered")
        return problem(request, 500, "the service failed to answer; its log has the cause")


def _encodable(text: str) -> str:
    """Return a text without the half characters that JSON can name and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _is_full(cause: BaseException | None) -> bool:
    """Tell a full disk, as SQLite and PostgreSQL name it."""
    if getattr(cause, "sqlite_errorname", None) == "SQLITE_FULL":
        return True
    return getattr(cause, "sqlstate", None) == "53100"
