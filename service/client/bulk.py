"""Bulk requests: encodes items as lines and reads their answers; it opens no connection."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import httpx
import orjson

from service.client.calls import SemidError, SendableItem, batches, encoded
from service.client.retries import RETRIED_STATUSES, Outcome, is_transient
from service.http.messages.schemas import Problem, TokenizedItem

__all__ = ["BulkPart", "ItemProblem", "bulk_parts"]

PATH = "/v1/tokenize:bulk"
PART_ITEMS, PART_BYTES = 10_000, 8 * 2**20


@dataclass(frozen=True)
class ItemProblem:
    """An item of a bulk request that got no ID; `index` is its place among the items, from 0."""

    index: int
    problem: Problem


class BulkPart:
    """A part of a bulk request: some items as lines, and their answers as they arrive.

    A line is sent again if the service had no room for it or stopped before it.
    """

    def __init__(self, start: int, lines: Sequence[bytes]) -> None:
        self._start = start
        self._lines = lines
        self._answers: dict[int, TokenizedItem | ItemProblem] = {}
        self._asked: list[int] = []
        self._rest = b""

    @property
    def answered(self) -> bool:
        """Whether no line must be sent again."""
        return not any(self._open(row) for row in range(len(self._lines)))

    def request(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """Build the request that `client` sends for the lines without an answer."""
        headers = {"Content-Type": "application/x-ndjson"}
        return client.build_request("POST", PATH, content=self.body(), headers=headers)

    def should_retry(self, outcome: Outcome) -> bool:
        """Return whether the lines without an answer should be sent again."""
        answered = isinstance(outcome, httpx.Response) and outcome.is_success
        return not self.answered and (answered or is_transient(outcome))

    def body(self) -> bytes:
        """Return the lines without an answer, and get ready to read the answer to them."""
        self._rest = b""
        self._asked = [row for row in range(len(self._lines)) if self._open(row)]
        return b"".join(self._lines[row] + b"\n" for row in self._asked)

    def take(self, piece: bytes) -> None:
        """Read the next bytes of the answer; only a line feed ends a line."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._take_line(line)

    def answers(self) -> list[TokenizedItem | ItemProblem]:
        """Return each item's answer, in order.

        Raises:
            SemidError: an item has no answer, because the service stopped before it.
        """
        for row in range(len(self._lines)):
            if row not in self._answers:
                raise SemidError(
                    Problem(
                        type="about:blank", title="Not available", status=503,
                        detail=f"items from {self._start + row} on have no answer; send them again",
                        instance=PATH,
                    )
                )  # fmt: skip
        return [self._answers[row] for row in range(len(self._lines))]

    def _take_line(self, line: bytes) -> None:
        answer = orjson.loads(line)
        position = answer.pop("line") - 1
        if position >= len(self._asked):
            return  # the service stopped after the last line, so this problem has no item
        row = self._asked[position]
        self._answers[row] = (
            ItemProblem(self._start + row, Problem.model_validate(answer["problem"]))
            if "problem" in answer
            else TokenizedItem.model_validate(answer)
        )

    def _open(self, row: int) -> bool:
        answer = self._answers.get(row)
        return answer is None or (
            isinstance(answer, ItemProblem) and answer.problem.status in RETRIED_STATUSES
        )


def bulk_parts(items: Iterable[SendableItem]) -> Iterator[BulkPart]:
    """Yield `items` in parts that are small enough to be kept until they are answered."""
    start = 0
    for lines in batches(map(encoded, items), PART_ITEMS, PART_BYTES):
        yield BulkPart(start, lines)
        start += len(lines)
