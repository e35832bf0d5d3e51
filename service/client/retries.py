"""The retry policy: when a request is sent again, and after how long."""

import random

import httpx
from httpx_retries import Retry

__all__ = ["RETRIED_STATUSES", "Outcome", "is_transient", "may_be_done", "retry_policy"]

# The result of a request: a response, or the error that there is none.
Outcome = httpx.Response | httpx.TransportError

RETRIED_STATUSES = frozenset({429, 502, 503})
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0  # seconds
TRANSIENT_ERRORS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class _JitteredRetry(Retry):
    """Waits the time in Retry-After plus a random jitter of up to a quarter.

    So clients that were refused at the same time do not all return at the same time.
    """

    def parse_retry_after(self, retry_after: str) -> float:
        return super().parse_retry_after(retry_after) * random.uniform(1, 1.25)  # noqa: S311


def retry_policy(retries: int) -> Retry:
    """Return the retry policy with `retries` retries."""
    return _JitteredRetry(total=retries, backoff_factor=FIRST_WAIT, max_backoff_wait=LONGEST_WAIT)


def is_transient(outcome: Outcome) -> bool:
    """Return whether a failure is temporary: a time-out, a lost connection, a retried status.

    Any request may be sent again then: a registered item keeps its ID.
    """
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in RETRIED_STATUSES
    return isinstance(outcome, TRANSIENT_ERRORS)


def may_be_done(outcome: Outcome) -> bool:
    """Return whether the service may have carried out a failed request."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code != 429
    return not isinstance(outcome, NOT_SENT)
