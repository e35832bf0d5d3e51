"""What every error's answer must be."""

from typing import Any

from service.http.messages.problems import PROBLEMS

__all__ = ["problem_of"]


def problem_of(answer: Any, status: int) -> dict[str, Any]:
    """Return the problem document of an answer that must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"] == f"/problems/{PROBLEMS[status].name}"
    assert body["title"] == PROBLEMS[status].title
    assert body["detail"]
    assert body["instance"].startswith("/")
    assert "Traceback" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    return body
