"""When a request is sent again, and after how long."""

import random

import httpx
from httpx_retries import Retry

__all__ = ["AGAIN", "Outcome", "is_passing", "may_be_done", "patience"]

# What becomes of a request: an answer, or none.
Outcome = httpx.Response | httpx.TransportError

AGAIN = frozenset({429, 502, 503})
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0  # seconds
PASSING = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class _Patience(Retry):
    """Waits as long as Retry-After asks and up to a quarter longer, by chance.

    So clients that were refused together do not all come back together.
    """

    def parse_retry_after(self, retry_after: str) -> float:
        return super().parse_retry_after(retry_after) * random.uniform(1, 1.25)  # noqa: S311


def patience(retries: int) -> Retry:
    """Return how often a request is sent again, and after how long."""
    return _Patience(total=retries, backoff_factor=FIRST_WAIT, max_backoff_wait=LONGEST_WAIT)


def is_passing(outcome: Outcome) -> bool:
    """Say whether a failure may pass: a time-out, a lost connection, or a status of `AGAIN`.

    Any request may be sent again then: an item that is registered keeps its ID.
    """
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in AGAIN
    return isinstance(outcome, PASSING)


def may_be_done(outcome: Outcome) -> bool:
    """Say whether the service may have done what a failed request asked."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code != 429
    return not isinstance(outcome, NOT_SENT)
