"""A service's limits on queue length, time and batch size."""

from dataclasses import dataclass

__all__ = ["Capacity"]


@dataclass(frozen=True)
class Capacity:
    """A tokenizer's limits on queue length, time and batch size.

    Attributes:
        queue: number of items, over all requests, that may wait; further requests get 429.
        timeout: seconds until a request without an answer gets 503.
        texts: number of texts that the encoder's threads together encode at a time.
        wait: seconds that a batch waits for more items if it is not full.
        threads: number of threads that encode texts, each on one core; 0 for all usable cores.
    """

    queue: int = 4096
    timeout: float = 30.0
    texts: int = 64
    wait: float = 0.001
    threads: int = 0
