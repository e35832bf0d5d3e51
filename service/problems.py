"""Every error as an RFC 9457 problem document."""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from data_prep.errors import InputError

__all__ = [
    "RESPONSES",
    "FieldError",
    "ProblemError",
    "as_problem",
    "install_problems",
    "problem_document",
]

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Malformed request",
    404: "Not found",
    405: "Method not allowed",
    415: "Unsupported media type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": TITLES[status], "content": {MEDIA_TYPE: {}}}
    for status in (400, 422, 429, 503)
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
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers


def install_problems(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    for kind in (ProblemError, InputError, RequestValidationError, HTTPException, SQLAlchemyError):
        app.exception_handler(kind)(_answer)
    app.exception_handler(Exception)(_answer)


def as_problem(error: Exception) -> ProblemError:
    """Return the problem that an error is to whom it is answered; one of ours goes to the log."""
    match error:
        case ProblemError():
            return error
        case InputError():
            return ProblemError(422, str(error))
        case RequestValidationError():
            return _of_validation(error)
        case HTTPException():
            return ProblemError(error.status_code, str(error.detail), headers=error.headers or {})
        case SQLAlchemyError():
            logger.error("database: %s", getattr(error, "orig", None) or error)
            return ProblemError(503, "the registry's database does not answer; try again later")
    return ProblemError(500, "the service failed to answer; its log has the cause")


def problem_document(problem: ProblemError, instance: str) -> dict[str, Any]:
    """Return the document (RFC 9457) of a problem with the request for path `instance`."""
    title = TITLES.get(problem.status, "Error")
    document: dict[str, Any] = {
        "type": "urn:semid:problem:" + title.lower().replace(" ", "-"),
        "title": title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
    }
    if problem.errors:
        document["errors"] = problem.errors
    return document


def _answer(request: Request, error: Exception) -> JSONResponse:
    problem = as_problem(error)
    document = problem_document(problem, request.url.path)
    return JSONResponse(document, problem.status, dict(problem.headers), MEDIA_TYPE)


def _of_validation(error: RequestValidationError) -> ProblemError:
    wrong = error.errors()
    if any(part["type"] == "json_invalid" for part in wrong):
        reason = wrong[0].get("ctx", {}).get("error", "")
        position = wrong[0]["loc"][-1]
        return ProblemError(400, f"the body is not JSON: {reason} at character {position}")
    errors = [FieldError("/".join(map(str, part["loc"][1:])), part["msg"]) for part in wrong]
    first = errors[0]
    return ProblemError(422, f"{first['path'] or 'the body'}: {first['message']}", errors[:100])
