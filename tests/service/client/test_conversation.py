"""The client's conversation, without a connection: what is said after which outcome."""

from typing import Any

import httpx
import pytest

from service.client import SemidError
from service.client.calls import Call
from service.client.conversation import Conversation, Pause, Steps
from service.client.retries import Outcome, retry_policy

UNKNOWN = httpx.Response(
    404,
    json={
        "type": "about:blank", "title": "Not found", "status": 404, "detail": "d", "instance": "/",
        "errors": [{"path": "item_id", "message": "m"}],
    },
)  # fmt: skip
DONE = httpx.Response(204)


def _end(steps: Steps[Any], *outcomes: Outcome) -> Any:
    """Answer one request after another, passing pauses over; return what the method returns."""
    step = next(steps)
    for outcome in outcomes:
        assert isinstance(step, Call)
        try:
            step = steps.send(outcome)
        except StopIteration as stop:
            return stop.value
        while isinstance(step, Pause):
            assert step.after is outcome
            step = next(steps)
    raise AssertionError(step)


@pytest.mark.parametrize(
    ("failure", "maybe_done"),
    [
        (httpx.ReadTimeout(""), True),
        (httpx.WriteTimeout(""), True),
        (httpx.ReadError(""), True),
        (httpx.RemoteProtocolError(""), True),
        (httpx.Response(502), True),
        (httpx.Response(503), True),
        (httpx.ConnectTimeout(""), False),
        (httpx.PoolTimeout(""), False),
        (httpx.ConnectError(""), False),
        (httpx.Response(429), False),
    ],
)
def test_what_may_pass_is_tried_again(failure: Outcome, maybe_done: bool) -> None:
    """An item that is unknown after a removal without an answer was removed by it."""
    conversation = Conversation(retries=3)
    assert _end(conversation.remove("a"), failure, DONE) is True
    assert _end(conversation.remove("a"), failure, UNKNOWN) is maybe_done
    again = httpx.Response(429)
    assert _end(conversation.remove("a"), failure, again, UNKNOWN) is maybe_done
    assert _end(conversation.item("a"), failure, UNKNOWN) is None


def test_retries_end() -> None:
    late = httpx.ReadTimeout("")
    with pytest.raises(httpx.ReadTimeout):
        _end(Conversation(retries=2).remove("a"), late, late, late)
    with pytest.raises(SemidError, match="503"):
        _end(
            Conversation(retries=1).remove("a"),
            *[httpx.Response(503, request=httpx.Request("DELETE", "http://a/b"))] * 2,
        )
    with pytest.raises(httpx.UnsupportedProtocol):
        _end(Conversation(retries=3).remove("a"), httpx.UnsupportedProtocol(""))
    assert _end(Conversation(retries=3).remove("a"), UNKNOWN) is False


def test_a_wait_is_as_long_as_the_service_asks_or_a_little_longer() -> None:
    waits = {retry_policy(3).parse_retry_after("4") for _ in range(50)}
    assert 4 <= min(waits) < max(waits) <= 5
