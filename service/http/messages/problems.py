"""Converts errors to RFC 9457 problem documents."""

import logging
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from data_prep.errors import InputError
from service.engine.problem_error import FieldError, ProblemError
from service.http.messages.headers import HEADERS

__all__ = [
    "MEDIA_TYPE",
    "PROBLEMS",
    "RESPONSES",
    "ProblemType",
    "as_problem",
    "install_problems",
    "problem_document",
    "problem_response",
]

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100


class ProblemType(NamedTuple):
    """A kind of problem: `name` is the last part of its `type`; `remedy` says what to do."""

    name: str
    title: str
    remedy: str


PROBLEMS = {
    400: ProblemType(
        "malformed-request", "Malformed request",
        "The request cannot be read, and nothing was done. Correct what `detail` names. A body "
        "that a JSON library wrote does not have this problem.",
    ),
    401: ProblemType(
        "key-needed", "A key is needed",
        "Send the header Authorization: Bearer KEY, with a key that semid keys add printed and "
        "that has not been revoked.",
    ),
    403: ProblemType(
        "scope-missing", "The key does not allow this",
        "The key is valid, but it does not have the scope of this route. Use another key, or make "
        "one with semid keys add --scope.",
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
    408: ProblemType(
        "request-stalled", "Request stalled",
        "The request did not arrive completely in time, and nothing was done. Send it again.",
    ),
    413: ProblemType(
        "too-large", "Body too large",
        "Nothing was done. Send fewer items at once; GET /v1/tokenizer shows the limits.",
    ),
    415: ProblemType(
        "media-type", "Unsupported media type",
        "Set the header Content-Type to a media type that the route accepts. The header Accept of "
        "the answer lists them.",
    ),
    421: ProblemType(
        "other-host", "Unknown host",
        "The service does not answer to the host that the request names. Use localhost, or start "
        "the service with --allowed-host for that name.",
    ),
    422: ProblemType(
        "invalid-input", "Invalid input",
        "A value in the request is invalid, and nothing was done. `errors` lists each wrong field "
        "by its path from the body's root, such as items/3/vector.",
    ),
    429: ProblemType(
        "too-many-requests", "Too many requests",
        "Too many items or bytes wait for an answer, and nothing was done. Send the request again "
        "after the number of seconds in the header Retry-After.",
    ),
    431: ProblemType(
        "header-too-large", "Header too large",
        "Nothing was done. Send a shorter address and fewer header fields.",
    ),
    500: ProblemType(
        "internal-error", "Internal error",
        "The service failed; its log has the cause. The request can be sent again: a registered "
        "item keeps its ID.",
    ),
    503: ProblemType(
        "not-available", "Not available",
        "The service starts, stops or took too long, or its database does not answer. Send the "
        "request again later: a registered item keeps its ID.",
    ),
    507: ProblemType(
        "storage-full", "Storage full",
        "The registry's disk is full, and nothing was registered. Reading still works. The owner "
        "of the service must free disk space.",
    ),
}  # fmt: skip


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": PROBLEMS[status].title, "content": {MEDIA_TYPE: {}}}
    for status in (400, 422, 429, 503)
}
logger = logging.getLogger("semid")


def install_problems(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    for kind in (
        ProblemError, InputError, RequestValidationError, HTTPException, SQLAlchemyError,
        ClientDisconnect,
    ):  # fmt: skip
        app.exception_handler(kind)(_answer)
    app.exception_handler(Exception)(_answer)


def as_problem(error: Exception) -> ProblemError:
    """Convert an exception to the client's problem; log a database's error."""
    problem = ProblemError(500, "the service failed to answer; its log has the cause")
    match error:
        case ProblemError():
            problem = error
        case InputError():
            problem = ProblemError(422, str(error))
        case RequestValidationError():
            problem = _of_validation(error)
        case HTTPException():
            headers = error.headers or {}
            problem = ProblemError(error.status_code, str(error.detail), headers=headers)
        case SQLAlchemyError():
            problem = _of_database(error)
        case ClientDisconnect():
            problem = ProblemError(408, "the client disconnected before its request was complete")
    return problem


def problem_document(problem: ProblemError, instance: str, root: str = "") -> dict[str, Any]:
    """Return the problem document (RFC 9457) for a request to the path `instance`.

    Args:
        root: path prefix of the service behind a proxy.
    """
    known = PROBLEMS.get(problem.status)
    document: dict[str, Any] = {
        "type": f"{root}/problems/{known.name}" if known else "about:blank",
        "title": known.title if known else HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": _encodable(problem.detail),
        "instance": _encodable(instance),
    }
    if problem.errors:
        document["errors"] = [
            {name: _encodable(text) for name, text in error.items()}
            for error in problem.errors[:MOST_ERRORS]
        ]
    return document


def problem_response(problem: ProblemError, request: Request) -> JSONResponse:
    """Return the answer to a request that ends in a problem."""
    # In a mounted application `root_path` includes the mount's own path.
    root = request.scope.get("app_root_path", request.scope.get("root_path", ""))
    document = problem_document(problem, request.url.path, root)
    # Starlette answers an unhandled exception outside the middleware that adds these headers.
    return JSONResponse(document, problem.status, HEADERS | problem.headers, MEDIA_TYPE)


async def _answer(request: Request, error: Exception) -> JSONResponse:
    return problem_response(as_problem(error), request)


def _of_validation(error: RequestValidationError) -> ProblemError:
    wrong = error.errors()
    if any(part["type"] == "json_invalid" for part in wrong):
        reason = wrong[0].get("ctx", {}).get("error", "")
        position = wrong[0]["loc"][-1]
        return ProblemError(400, f"the body is not JSON: {reason} at character {position}")
    errors = [
        FieldError("/".join(map(str, part["loc"][1:])), part["msg"].removeprefix("Value error, "))
        for part in wrong
    ]
    first = errors[0]
    return ProblemError(422, f"{first['path'] or 'the body'}: {first['message']}", errors)


def _of_database(error: SQLAlchemyError) -> ProblemError:
    cause = getattr(error, "orig", None)
    logger.error("database: %s", cause or error)
    # The error codes of SQLite and PostgreSQL for a full disk.
    sqlite, postgres = getattr(cause, "sqlite_errorname", ""), getattr(cause, "sqlstate", "")
    if sqlite == "SQLITE_FULL" or postgres == "53100":
        return ProblemError(507, "the registry's disk is full; nothing was registered")
    return ProblemError(503, "the registry's database does not answer; try again later")


def _encodable(text: str) -> str:
    """Replace lone surrogates, which JSON can express and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
