"""The client's methods, written once for `Semid` and `AsyncSemid`.

Each method is a generator of steps. A client runs each step, sync or async, and sends its outcome
back to the generator.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx
import numpy as np
from httpx_retries import Retry
from numpy.typing import NDArray
from pydantic import BaseModel

from service.client import calls
from service.client.bulk import BulkPart, ItemProblem, bulk_parts
from service.client.calls import Call, SemidError, SendableItem
from service.client.retries import Outcome, may_be_done, retry_policy
from service.http.messages.browsing_schemas import CodesAnswer, PrefixEntry
from service.http.messages.limits import RequestLimits
from service.http.messages.schemas import (
    Item,
    MappedId,
    RecommendedItem,
    SimilarItem,
    TokenizeAnswer,
    TokenizedItem,
    TokenizerDescription,
)
from service.http.messages.search_schemas import SearchedItem

__all__ = ["Conversation", "Found", "Pages", "Pause", "Step", "Steps"]

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
PAGE = 1000


@dataclass(frozen=True)
class Pause:
    """A wait after an outcome, before the request is sent again."""

    retry: Retry
    after: Outcome


@dataclass(frozen=True)
class Found(Generic[T]):
    """Some of the values that a method yields to its caller."""

    values: Sequence[T]


Step = Call[Any] | BulkPart | Pause
# The steps of a method that returns a value. A request's outcome is sent back, None for a pause.
Steps = Generator[Step, Any, T]
# The steps of a method that yields values: the same, with `Found` in between.
Pages = Generator[Step | Found[T], Any, None]


class Conversation:
    """The methods of a client; between calls it keeps only the service's limits."""

    def __init__(self, retries: int) -> None:
        self._retry_policy = retry_policy(retries)
        self._limits: RequestLimits | None = None

    def tokenizer(self) -> Steps[TokenizerDescription]:
        """Return the tokenizer's description and the service's limits.

        >>> with Semid() as semid:
        ...     semid.tokenizer().limits.most_items
        1000
        """
        return (yield from self._ask(calls.describe()))

    def tokenize(self, items: Iterable[SendableItem]) -> Steps[list[TokenizedItem]]:
        """Give items their semantic IDs, in order, in as many requests as needed.

        If a request is refused, the earlier requests stay done; the same call may be made again.

        Args:
            items: each has `item_id` and fields, `text` or `vector`; a vector may be a NumPy array.

        Raises:
            SemidError: an item cannot be tokenized; `problem.errors` has its path in its request.
        """
        return (yield from self._tokenized(calls.tokenize_items(items, (yield from self._most()))))

    def tokenize_vectors(
        self,
        item_ids: Sequence[str],
        vectors: NDArray[np.float32],
        titles: Sequence[str | None] | None = None,
    ) -> Steps[list[TokenizedItem]]:
        """Give items with vectors (N, D) their semantic IDs; binary, so the fastest way.

        Raises:
            SemidError: as `tokenize`.
            ValueError: the numbers of ids, vectors and titles differ.
        """
        most = yield from self._most()
        return (yield from self._tokenized(calls.tokenize_vectors(item_ids, vectors, titles, most)))

    def bulk(self, items: Iterable[SendableItem]) -> Pages[TokenizedItem | ItemProblem]:
        """Give any number of items their semantic IDs; an item with a fault does not stop the rest.

        Items are read in parts; a part's answers are yielded before the next part is read.

        >>> with Semid() as semid:
        ...     good, bad = semid.bulk([{"item_id": "k-3", "text": "Kettle"}, {"item_id": "k-4"}])
        >>> good.item_id, bad.index, bad.problem.title
        ('k-3', 1, 'Invalid input')
        """
        for part in bulk_parts(items):
            outcome, _ = yield from self._tried(part)
            if not part.answered:
                calls.check(_response(outcome))
            yield Found(part.answers())

    def item(self, item_id: str) -> Steps[Item | None]:
        """Return one registered item, or None.

        >>> with Semid() as semid:
        ...     print(semid.item("no such item"))
        None
        """
        try:
            return (yield from self._ask(calls.get_item(item_id)))
        except SemidError as error:
            if calls.is_unknown_item(error):
                return None
            raise

    def items(self, prefix: str = "", search: str = "") -> Pages[Item]:
        """Yield the items under a prefix, such as 12-240, in the order of their IDs.

        Args:
            search: a text; yields instead the first 1,000 items whose title contains it.

        Raises:
            SemidError: no item has the prefix.
        """
        after: str | None = ""
        while after is not None:
            page = yield from self._ask(calls.item_page(prefix, search, after, PAGE))
            yield Found(page.items)
            after = page.next

    def fields(self, item_id: str) -> Steps[dict[str, Any] | None]:
        """Return an item's fields in the service's catalogue; None if it does not have the item.

        Raises:
            SemidError: the service has no catalogue.
        """
        try:
            return (yield from self._ask(calls.item_fields(item_id))).fields
        except SemidError as error:
            if not calls.is_unknown_item(error):
                raise
            return None

    def codes(
        self, *, text: str | None = None, vector: NDArray[np.float32] | None = None
    ) -> Steps[CodesAnswer]:
        """Return the codes that a text or a vector (D,) would get; no item is registered."""
        return (yield from self._ask(calls.codes_of(text, vector)))

    def prefixes(self, prefix: str = "") -> Steps[list[PrefixEntry]]:
        """Return the prefixes that extend `prefix` by one code and have items.

        Raises:
            SemidError: no item has the prefix.
        """
        return (yield from self._ask(calls.prefix_page(prefix))).prefixes

    def id_map(self, old: str, new: str) -> Pages[MappedId]:
        """Yield each item's ID by an old tokenizer and by a new one; None if it has no new ID yet.

        Args:
            old: fingerprint, or its first characters, of a tokenizer in the registry.
            new: the same for another tokenizer.

        Raises:
            SemidError: the registry has no such tokenizer.
        """
        after: int | None = 0
        while after is not None:
            page = yield from self._ask(calls.id_map_page(old, new, after, PAGE))
            yield Found(page.items)
            after = page.next

    def similar(
        self,
        *,
        item_id: str | None = None,
        text: str | None = None,
        vector: NDArray[np.float32] | None = None,
        k: int = 10,
        exact: bool = True,
    ) -> Steps[list[SimilarItem]]:
        """Return the k items nearest to an item, a text or a vector (D,), nearest first.

        Args:
            exact: rank by the items' vectors; False answers from codes alone.

        Raises:
            SemidError: not exactly one of the three is given, or the item is not registered.
        """
        call = calls.similar_items(item_id, text, vector, k, exact=exact)
        return (yield from self._ask(call)).items

    def remove(self, item_id: str) -> Steps[bool]:
        """Remove an item and return whether it was registered; the key needs the scope admin.

        A request without an answer is sent again. If the item is gone then, the first request
        removed it, and the result is True.
        """
        call = calls.remove_item(item_id)
        outcome, maybe_done = yield from self._tried(call)
        try:
            call.read(_response(outcome))
        except SemidError as error:
            if calls.is_unknown_item(error):
                return maybe_done
            raise
        return True

    def recommend(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        *,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
        prefix: str = "",
        words: str = "",
    ) -> Steps[list[list[RecommendedItem]]]:
        """Return up to k items that come next after each history.

        Args:
            histories: item ids, the oldest first.
            candidates: the only items that may be recommended; unknown ones are ignored.
            prefix: the first codes of those items, such as `12-240`.
            words: what their titles have, as `items` searches them.

        Raises:
            SemidError: the recommender knows no item of a history, no item is left to recommend, or
                there is no recommender.
        """
        call = calls.recommended(
            histories,
            k,
            exclude_seen=exclude_seen,
            candidates=candidates,
            prefix=prefix,
            words=words,
        )
        return (yield from self._ask(call)).lists

    def search(
        self,
        query: str | None = None,
        history: Sequence[str] = (),
        k: int = 10,
        *,
        exclude_seen: bool = False,
        prefix: str | None = None,
        candidates: Sequence[str] | None = None,
        words: str = "",
    ) -> Steps[list[SearchedItem]]:
        """Return up to k items that answer a query, after a history; one of both is needed.

        Args:
            history: item ids, the oldest first.
            exclude_seen: whether to leave out the items of the history.
            prefix: how the items' IDs begin, as `12-240`; None for any.
            candidates: ids of the only items that may be found; None for all.
            words: what their titles have.

        Raises:
            SemidError: there is no search model, or it knows no item of a history without a query.
        """
        call = calls.search_items(
            query,
            history,
            k,
            exclude_seen=exclude_seen,
            prefix=prefix,
            candidates=candidates,
            words=words,
        )
        return (yield from self._ask(call)).items

    def _most(self) -> Steps[RequestLimits]:
        if self._limits is None:
            self._limits = (yield from self.tokenizer()).limits
        return self._limits

    def _tokenized(self, requests: Iterable[Call[TokenizeAnswer]]) -> Steps[list[TokenizedItem]]:
        found: list[TokenizedItem] = []
        for request in requests:
            found += (yield from self._ask(request)).items
        return found

    def _ask(self, call: Call[M]) -> Steps[M]:
        outcome, _ = yield from self._tried(call)
        return call.read(_response(outcome))

    def _tried(self, request: Call[Any] | BulkPart) -> Steps[tuple[Outcome, bool]]:
        """Send a request until it succeeds, fails for good, or the retries are used up.

        Returns:
            The last outcome, and whether the service may have carried out an earlier try.
        """
        retry, maybe_done = self._retry_policy, False
        outcome: Outcome = yield request
        while request.should_retry(outcome) and not retry.is_exhausted():
            maybe_done = maybe_done or may_be_done(outcome)
            retry = retry.increment()
            yield Pause(retry, outcome)
            outcome = yield request
        return outcome, maybe_done


def _response(outcome: Outcome) -> httpx.Response:
    """Return the response in an outcome, whatever its status.

    Raises:
        httpx.TransportError: the request got no response.
    """
    if isinstance(outcome, httpx.TransportError):
        raise outcome
    return outcome
