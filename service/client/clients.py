"""The sync and the async client; both run the steps of the same `Conversation`."""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing, closing
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

import httpx

from service.client.bulk import BulkPart
from service.client.calls import address_of, headers_of
from service.client.conversation import Conversation, Found, Pages, Pause, Step, Steps
from service.client.retries import Outcome

__all__ = ["AsyncSemid", "Semid"]

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", httpx.Client, httpx.AsyncClient)
F = TypeVar("F", bound=Callable[..., Any])


def _documented(method: Callable[..., Any]) -> Callable[[F], F]:
    """Copy the name, docstring and arguments of a conversation's method to a client's method."""

    def like(face: F) -> F:
        wraps(method)(face)
        arguments = inspect.signature(method).replace(return_annotation=inspect.Signature.empty)
        face.__signature__ = arguments  # type: ignore[attr-defined]
        return face

    return like


def _returned(
    method: Callable[Concatenate[Conversation, P], Steps[T]],
) -> Callable[Concatenate["Semid", P], T]:
    @_documented(method)
    def returned(self: "Semid", /, *args: P.args, **kwargs: P.kwargs) -> T:
        [answer] = self._found(_one(method(self._conversation, *args, **kwargs)))
        return answer

    return returned


def _yielded(
    method: Callable[Concatenate[Conversation, P], Pages[T]],
) -> Callable[Concatenate["Semid", P], Iterator[T]]:
    @_documented(method)
    def yielded(self: "Semid", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._found(method(self._conversation, *args, **kwargs))

    return yielded


def _awaited(
    method: Callable[Concatenate[Conversation, P], Steps[T]],
) -> Callable[Concatenate["AsyncSemid", P], Coroutine[Any, Any, T]]:
    @_documented(method)
    async def awaited(self: "AsyncSemid", /, *args: P.args, **kwargs: P.kwargs) -> T:
        found = self._found(_one(method(self._conversation, *args, **kwargs)))
        [answer] = [each async for each in found]
        return answer

    return awaited


def _streamed(
    method: Callable[Concatenate[Conversation, P], Pages[T]],
) -> Callable[Concatenate["AsyncSemid", P], AsyncIterator[T]]:
    @_documented(method)
    def streamed(self: "AsyncSemid", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._found(method(self._conversation, *args, **kwargs))

    return streamed


def _one(steps: Steps[T]) -> Pages[T]:
    """Convert a method that returns an answer to one that yields it."""
    answer = yield from steps
    yield Found([answer])


def _next(steps: Pages[T], outcome: Outcome | None) -> Step | Found[T] | None:
    """Send the outcome of a step to the method and return the next step, or None at the end."""
    try:
        return steps.send(outcome)
    except StopIteration:
        return None


class _Client(Generic[C]):
    """The constructor that both clients share."""

    def __init__(
        self,
        address: str | None = None,
        key: str | None = None,
        *,
        tokenizer: str | None = None,
        retries: int = 6,
        timeout: float = 60,
    ) -> None:
        """Prepare a client; the first request connects.

        Args:
            address: the service's URL; None for $SEMID_URL or else http://127.0.0.1:8000.
            key: API key; None for $SEMID_KEY or else no key.
            tokenizer: fingerprint, or its first characters, of the tokenizer for all requests;
                None for the service's default.
            retries: how often a request is sent again.
            timeout: seconds to wait for an answer.
        """
        self._conversation = Conversation(retries)
        self._client: C = self._open(
            base_url=address_of(address),
            headers=headers_of(key),
            params={} if tokenizer is None else {"tokenizer": tokenizer},
            timeout=timeout,
        )

    @staticmethod
    def _open(**settings: Any) -> C:
        raise NotImplementedError


class Semid(_Client[httpx.Client]):
    """A connection to a service, closed at the end of a `with` block.

    A request that gets 429, 502, 503 or no answer is sent again: after the time in Retry-After, or
    else after waits that grow. Every other refusal raises `SemidError`. A service that cannot be
    reached raises `httpx.TransportError`.

    >>> kettles = [{"item_id": "kettle-1", "title": "Copper kettle"},
    ...            {"item_id": "kettle-2", "title": "Copper kettle, large"}]
    >>> with Semid() as semid:
    ...     first, second = semid.tokenize(kettles)
    ...     near = semid.similar(text="kettle of copper", k=1)
    >>> first.status, second.status, len(near)
    ('created', 'created', 1)
    """

    @staticmethod
    def _open(**settings: Any) -> httpx.Client:
        return httpx.Client(**settings, transport=httpx.HTTPTransport())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    tokenizer = _returned(Conversation.tokenizer)
    tokenize = _returned(Conversation.tokenize)
    tokenize_vectors = _returned(Conversation.tokenize_vectors)
    bulk = _yielded(Conversation.bulk)
    item = _returned(Conversation.item)
    items = _yielded(Conversation.items)
    fields = _returned(Conversation.fields)
    codes = _returned(Conversation.codes)
    prefixes = _returned(Conversation.prefixes)
    id_map = _yielded(Conversation.id_map)
    similar = _returned(Conversation.similar)
    remove = _returned(Conversation.remove)
    recommend = _returned(Conversation.recommend)
    search = _returned(Conversation.search)

    def _found(self, steps: Pages[T]) -> Iterator[T]:
        step = _next(steps, None)
        while step is not None:
            if isinstance(step, Found):
                yield from step.values
                step = _next(steps, None)
            else:
                step = _next(steps, self._do(step))

    def _do(self, step: Step) -> Outcome | None:
        if isinstance(step, Pause):
            step.retry.sleep(step.after)
            return None
        try:
            response = self._client.send(step.request(self._client), stream=True)
            with closing(response):
                if isinstance(step, BulkPart) and response.is_success:
                    for piece in response.iter_bytes():
                        step.take(piece)
                else:
                    response.read()
        except httpx.TransportError as error:
            return error
        return response


class AsyncSemid(_Client[httpx.AsyncClient]):
    """The async form of `Semid`: the same methods, awaited.

    >>> async def title() -> str | None:
    ...     async with AsyncSemid() as semid:
    ...         [item] = await semid.tokenize([{"item_id": "lamp-1", "title": "Brass lamp"}])
    ...         return item.title
    >>> asyncio.run(title())
    'Brass lamp'
    """

    @staticmethod
    def _open(**settings: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(**settings, transport=httpx.AsyncHTTPTransport())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    tokenizer = _awaited(Conversation.tokenizer)
    tokenize = _awaited(Conversation.tokenize)
    tokenize_vectors = _awaited(Conversation.tokenize_vectors)
    bulk = _streamed(Conversation.bulk)
    item = _awaited(Conversation.item)
    items = _streamed(Conversation.items)
    fields = _awaited(Conversation.fields)
    codes = _awaited(Conversation.codes)
    prefixes = _awaited(Conversation.prefixes)
    id_map = _streamed(Conversation.id_map)
    similar = _awaited(Conversation.similar)
    remove = _awaited(Conversation.remove)
    recommend = _awaited(Conversation.recommend)
    search = _awaited(Conversation.search)

    async def _found(self, steps: Pages[T]) -> AsyncIterator[T]:
        step = _next(steps, None)
        while step is not None:
            if isinstance(step, Found):
                for value in step.values:
                    yield value
                step = _next(steps, None)
            else:
                step = _next(steps, await self._do(step))

    async def _do(self, step: Step) -> Outcome | None:
        if isinstance(step, Pause):
            await step.retry.asleep(step.after)
            return None
        try:
            response = await self._client.send(step.request(self._client), stream=True)
            async with aclosing(response):
                if isinstance(step, BulkPart) and response.is_success:
                    async for piece in response.aiter_bytes():
                        step.take(piece)
                else:
                    await response.aread()
        except httpx.TransportError as error:
            return error
        return response
