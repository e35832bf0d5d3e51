"""A client of the service for Python programs: typed, patient, and for batches of any size."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Self, TypeVar

import httpx
import numpy as np
from httpx_retries import RetryTransport
from numpy.typing import NDArray
from pydantic import BaseModel

from service.client import calls
from service.client.calls import Call, ItemProblem, SemidError, SendableItem
from service.http.messages.limits import RequestLimits
from service.http.messages.schemas import (
    Item,
    MappedId,
    PrefixEntry,
    RecommendedItem,
    SimilarItem,
    TokenizedItem,
    TokenizerDescription,
)

__all__ = ["AsyncSemid", "ItemProblem", "Semid", "SemidError"]

M = TypeVar("M", bound=BaseModel)
PAGE = 1000
BULK = "/v1/tokenize:bulk"


class Semid:
    """A connection to a service, closed at the end of a `with` block.

    Requests that are answered 429, 502 or 503, or not at all, are sent again, after as long as the
    service asks or else after longer and longer waits. Every other refusal is a `SemidError`, and
    a service that cannot be reached an `httpx.TransportError`.

    >>> kettles = [{"item_id": "kettle-1", "title": "Copper kettle"},
    ...            {"item_id": "kettle-2", "title": "Copper kettle, large"}]
    >>> with Semid() as semid:
    ...     first, second = semid.tokenize(kettles)
    ...     near = semid.similar(text="kettle of copper", k=1)
    >>> first.status, near[0].title
    ('created', 'Copper kettle')
    """

    def __init__(
        self,
        address: str | None = None,
        key: str | None = None,
        *,
        retries: int = 6,
        timeout: float = 60,
    ) -> None:
        """Connect with the first request.

        Args:
            address: of the service; None for $SEMID_URL or else http://127.0.0.1:8000.
            key: API key; None for $SEMID_KEY or else none.
            retries: how often a request is sent again.
            timeout: seconds to wait for an answer.
        """
        self._retries = retries
        self._limits: RequestLimits | None = None
        self._client = httpx.Client(
            base_url=calls.address_of(address),
            headers=calls.headers_of(key),
            timeout=timeout,
            transport=RetryTransport(httpx.HTTPTransport(), calls.patience(retries)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def tokenizer(self) -> TokenizerDescription:
        """Return what the service tokenizes with, and its limits.

        >>> with Semid() as semid:
        ...     semid.tokenizer().limits.most_items
        1000
        """
        return self._send(calls.describe())

    def tokenize(self, items: Iterable[SendableItem]) -> list[TokenizedItem]:
        """Give items their semantic IDs, in order, in as many requests as it takes.

        A request that is refused ends in an error, and those before it stay done: the same call
        may be made again.

        Args:
            items: each `item_id` and fields, `text` or `vector`; a NumPy array is a vector.

        Raises:
            SemidError: an item cannot be tokenized; `problem.errors` has its path in its request.
        """
        requests = calls.tokenize_items(items, self._most())
        return [item for request in requests for item in self._send(request).items]

    def tokenize_vectors(
        self,
        item_ids: Sequence[str],
        vectors: NDArray[np.float32],
        titles: Sequence[str | None] | None = None,
    ) -> list[TokenizedItem]:
        """Give items with vectors (N, D) their semantic IDs: the quickest way, in binary.

        Raises:
            SemidError: as `tokenize`.
            ValueError: there are not as many ids or titles as vectors.
        """
        requests = calls.tokenize_vectors(item_ids, vectors, titles, self._most())
        return [item for request in requests for item in self._send(request).items]

    def bulk(self, items: Iterable[SendableItem]) -> Iterator[TokenizedItem | ItemProblem]:
        """Give items of any number their semantic IDs; an item that cannot have one stops no other.

        Items are read as they are sent, and a part's answers come before the next part is read.

        >>> with Semid() as semid:
        ...     good, bad = semid.bulk([{"item_id": "k-3", "text": "Kettle"}, {"item_id": "k-4"}])
        >>> good.item_id, bad.index, bad.problem.title
        ('k-3', 1, 'Invalid input')
        """
        for part in calls.bulk_parts(items):
            for attempt in range(self._retries + 1):
                if not (body := part.body()):
                    break
                if attempt:
                    time.sleep(calls.wait_before(attempt))
                try:
                    with self._client.stream(
                        "POST", BULK, content=body, headers=calls.NDJSON
                    ) as response:
                        if response.is_error:
                            response.read()
                            calls.check(response)
                        for line in response.iter_lines():
                            part.take(line)
                except httpx.TransportError:
                    if attempt == self._retries:
                        raise
            yield from part.answers()

    def item(self, item_id: str) -> Item | None:
        """Return one registered item, or None.

        >>> with Semid() as semid:
        ...     print(semid.item("no such item"))
        None
        """
        return self._found(calls.get_item(item_id))

    def items(self, prefix: str = "", search: str = "") -> Iterator[Item]:
        """Yield the items under a prefix, such as 12-240, in the order of their IDs.

        Args:
            search: yields instead the first 1,000 items whose title has this text.

        Raises:
            SemidError: no item has the prefix.
        """
        after: str | None = ""
        while after is not None:
            page = self._send(calls.item_page(prefix, search, after, PAGE))
            yield from page.items
            after = page.next

    def prefixes(self, prefix: str = "") -> list[PrefixEntry]:
        """Return the prefixes one code longer that have items.

        Raises:
            SemidError: no item has the prefix.
        """
        return self._send(calls.prefix_page(prefix)).prefixes

    def id_map(self, old: str, new: str) -> Iterator[MappedId]:
        """Yield each item's ID by one tokenizer and by another, None where it has none there yet.

        Args:
            old: fingerprint of a tokenizer that the registry knows, or how it starts.
            new: of another.

        Raises:
            SemidError: there is no such tokenizer.
        """
        after: int | None = 0
        while after is not None:
            page = self._send(calls.id_map_page(old, new, after, PAGE))
            yield from page.items
            after = page.next

    def similar(
        self,
        *,
        item_id: str | None = None,
        text: str | None = None,
        vector: NDArray[np.float32] | None = None,
        k: int = 10,
    ) -> list[SimilarItem]:
        """Return the k items nearest to an item, a text or a vector (D,), the nearest first.

        Raises:
            SemidError: not exactly one of them is given, or the item is not registered.
        """
        return self._send(calls.similar_items(item_id, text, vector, k)).items

    def remove(self, item_id: str) -> bool:
        """Remove an item, and return whether it was registered; the key needs the scope admin."""
        return self._found(calls.remove_item(item_id)) is not None

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, exclude_seen: bool = True
    ) -> list[list[RecommendedItem]]:
        """Return for each history, item ids with the oldest first, up to k items that come next.

        Raises:
            SemidError: a history has no item that the recommender knows, or there is none.
        """
        call = calls.recommended(histories, k, exclude_seen=exclude_seen)
        return self._send(call).lists

    def _most(self) -> RequestLimits:
        if self._limits is None:
            self._limits = self.tokenizer().limits
        return self._limits

    def _found(self, call: Call[M]) -> M | None:
        """Return the answer, or None where there is no such item."""
        try:
            return self._send(call)
        except SemidError as error:
            if calls.is_unknown_item(error):
                return None
            raise

    def _send(self, call: Call[M]) -> M:
        return call.read(self._client.send(call.request(self._client)))


class AsyncSemid:
    """`Semid` for programs with an event loop: the same methods, awaited.

    >>> async def title() -> str | None:
    ...     async with AsyncSemid() as semid:
    ...         [item] = await semid.tokenize([{"item_id": "lamp-1", "title": "Brass lamp"}])
    ...         return item.title
    >>> asyncio.run(title())
    'Brass lamp'
    """

    def __init__(
        self,
        address: str | None = None,
        key: str | None = None,
        *,
        retries: int = 6,
        timeout: float = 60,
    ) -> None:
        """Connect with the first request; arguments as of `Semid`."""
        self._retries = retries
        self._limits: RequestLimits | None = None
        self._client = httpx.AsyncClient(
            base_url=calls.address_of(address),
            headers=calls.headers_of(key),
            timeout=timeout,
            transport=RetryTransport(httpx.AsyncHTTPTransport(), calls.patience(retries)),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def tokenizer(self) -> TokenizerDescription:
        """Return what the service tokenizes with, and its limits."""
        return await self._send(calls.describe())

    async def tokenize(self, items: Iterable[SendableItem]) -> list[TokenizedItem]:
        """Give items their semantic IDs, as `Semid.tokenize`."""
        requests = calls.tokenize_items(items, await self._most())
        return [item for request in requests for item in (await self._send(request)).items]

    async def tokenize_vectors(
        self,
        item_ids: Sequence[str],
        vectors: NDArray[np.float32],
        titles: Sequence[str | None] | None = None,
    ) -> list[TokenizedItem]:
        """Give items with vectors (N, D) their semantic IDs, as `Semid.tokenize_vectors`."""
        requests = calls.tokenize_vectors(item_ids, vectors, titles, await self._most())
        return [item for request in requests for item in (await self._send(request)).items]

    async def bulk(
        self, items: Iterable[SendableItem]
    ) -> AsyncIterator[TokenizedItem | ItemProblem]:
        """Give items of any number their semantic IDs, as `Semid.bulk`."""
        for part in calls.bulk_parts(items):
            for attempt in range(self._retries + 1):
                if not (body := part.body()):
                    break
                if attempt:
                    await asyncio.sleep(calls.wait_before(attempt))
                try:
                    async with self._client.stream(
                        "POST", BULK, content=body, headers=calls.NDJSON
                    ) as response:
                        if response.is_error:
                            await response.aread()
                            calls.check(response)
                        async for line in response.aiter_lines():
                            part.take(line)
                except httpx.TransportError:
                    if attempt == self._retries:
                        raise
            for answer in part.answers():
                yield answer

    async def item(self, item_id: str) -> Item | None:
        """Return one registered item, or None."""
        return await self._found(calls.get_item(item_id))

    async def items(self, prefix: str = "", search: str = "") -> AsyncIterator[Item]:
        """Yield items, as `Semid.items`."""
        after: str | None = ""
        while after is not None:
            page = await self._send(calls.item_page(prefix, search, after, PAGE))
            for item in page.items:
                yield item
            after = page.next

    async def prefixes(self, prefix: str = "") -> list[PrefixEntry]:
        """Return the prefixes one code longer that have items, as `Semid.prefixes`."""
        return (await self._send(calls.prefix_page(prefix))).prefixes

    async def id_map(self, old: str, new: str) -> AsyncIterator[MappedId]:
        """Yield each item's ID by one tokenizer and by another, as `Semid.id_map`."""
        after: int | None = 0
        while after is not None:
            page = await self._send(calls.id_map_page(old, new, after, PAGE))
            for item in page.items:
                yield item
            after = page.next

    async def similar(
        self,
        *,
        item_id: str | None = None,
        text: str | None = None,
        vector: NDArray[np.float32] | None = None,
        k: int = 10,
    ) -> list[SimilarItem]:
        """Return the k nearest items, as `Semid.similar`."""
        return (await self._send(calls.similar_items(item_id, text, vector, k))).items

    async def remove(self, item_id: str) -> bool:
        """Remove an item, as `Semid.remove`."""
        return await self._found(calls.remove_item(item_id)) is not None

    async def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, exclude_seen: bool = True
    ) -> list[list[RecommendedItem]]:
        """Return for each history the items that come next, as `Semid.recommend`."""
        call = calls.recommended(histories, k, exclude_seen=exclude_seen)
        return (await self._send(call)).lists

    async def _most(self) -> RequestLimits:
        if self._limits is None:
            self._limits = (await self.tokenizer()).limits
        return self._limits

    async def _found(self, call: Call[M]) -> M | None:
        """Return the answer, or None where there is no such item."""
        try:
            return await self._send(call)
        except SemidError as error:
            if calls.is_unknown_item(error):
                return None
            raise

    async def _send(self, call: Call[M]) -> M:
        return call.read(await self._client.send(call.request(self._client)))
