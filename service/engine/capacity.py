"""How much a service takes in at once, and how long it may take."""

from dataclasses import dataclass

__all__ = ["Capacity"]


@dataclass(frozen=True)
class Capacity:
    """How much is taken in, and how long it may take.

    Attributes:
        queue: items of all requests that may wait; more are answered 429.
        timeout: seconds until a request is answered 503.
        texts: that are encoded at a time, shared by the encoder's threads.
        wait: seconds that a batch which is not full waits for more.
        threads: that encode texts, each on one core; 0 for as many as the process may use.
    """

    queue: int = 4096
    timeout: float = 30.0
    texts: int = 64
    wait: float = 0.001
    threads: int = 0
