"""`POST /v1/tokenize:bulk`: items as lines of JSON, answered line by line while they arrive."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import orjson
import structlog
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from service.engine.catalogue import ItemToRegister
from service.engine.problem_error import ProblemError
from service.engine.time_limit import TimeLimit
from service.engine.tokenizing import Prepared, Tokenizing
from service.http.messages.bodies import NDJSON, READ_AT_ONCE, item_of_line
from service.http.messages.described_bodies import BULK_ANSWER, BULK_BODY
from service.http.messages.limits import LIMITS
from service.http.messages.problems import RESPONSES, as_problem, problem_document
from service.http.messages.schemas import TokenizedItem
from service.http.routes.dependencies import NAMES_TOKENIZER, tokenizing_of
from service.http.routes.response_buffer import ResponseBuffer
from service.http.routing.direct import Direct

__all__ = ["router"]

router = APIRouter(
    prefix="/v1", tags=["tokenize"], route_class=Direct, dependencies=NAMES_TOKENIZER
)
LINES_AT_ONCE = 256  # lines that are tokenized together
PIECES_AHEAD = 64  # pieces of the body that are read before they are needed
STOP_CHECK_SECONDS = 0.5  # seconds between two checks whether the process is stopping
LONGEST_LINE = 4 * 2**20  # bytes
MAX_BUFFERED = 2**30  # bytes of answers that wait for the client to read them
log = structlog.get_logger("semid")
Line = tuple[int, bytes | None]


@router.post(
    "/tokenize:bulk",
    response_class=Response,
    responses=RESPONSES | {200: BULK_ANSWER},
    openapi_extra=BULK_BODY,
)
async def tokenize_bulk(request: Request) -> Response:
    """Give each line's item its semantic ID; answers come in the lines' order while lines arrive.

    Lines are independent: a line that cannot be tokenized is answered with its problem, and the
    others go on. A line whose answer has been sent is registered; sending it again changes nothing.
    An item that occurs twice is `known` the second time. A bulk request takes turns with other
    requests; when the queue is full it waits instead of being refused.
    """
    tokenizing = tokenizing_of(request)
    tokenizing.admission.check()
    return _Answers(request, tokenizing)


class _Answers(Response):
    """Reads the request's body and sends the answer at the same time."""

    media_type = NDJSON

    def __init__(self, request: Request, tokenizing: Tokenizing) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._request = request
        self._count = request.app.state.tokenizers.telemetry.bulk_line
        self._tokenizing = tokenizing
        self._longest = min(LONGEST_LINE, LIMITS.get().most_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        parts = _parts(_read_ahead(self._request.stream(), self._check_not_stopping), self._longest)
        async with TimeLimit(self._tokenizing.capacity.timeout, _no_line)():
            first = await self._first_part(parts)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with ResponseBuffer(MAX_BUFFERED) as buffer:
            answering = asyncio.create_task(self._answer(first, parts, buffer))
            try:
                while piece := await buffer.read():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await answering
            finally:
                answering.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _first_part(self, parts: AsyncIterator[list[Line]]) -> list[Line]:
        """Wait for the first lines before the answer starts, so that a stalled body gets 408.

        An empty body gives [].
        """
        try:
            return await anext(parts, [])
        except _StoppingError as error:
            stop = ProblemError(503, "the service is stopping; send the lines again")
            raise stop from error

    async def _answer(
        self, lines: list[Line], parts: AsyncIterator[list[Line]], buffer: ResponseBuffer
    ) -> None:
        last = 0
        try:
            while lines:
                last = lines[-1][0]
                answers = await self._of_part(lines)
                await buffer.write(b"".join(orjson.dumps(answer) + b"\n" for answer in answers))
                self._check_not_stopping()
                lines = await anext(parts, [])
        except _StoppingError:
            stop = ProblemError(503, f"the service is stopping; send the lines after {last} again")
            await buffer.write(orjson.dumps(self._problem(last + 1, stop)) + b"\n")
        except ClientDisconnect:
            pass
        finally:
            buffer.end()

    def _check_not_stopping(self) -> None:
        if self._tokenizing.stopping:
            raise _StoppingError

    async def _of_part(self, lines: Sequence[Line]) -> list[dict[str, Any]]:
        admission = self._tokenizing.admission
        await admission.wait_for(len(lines))
        try:
            with admission.admitted(len(lines)):
                items = await self._items(lines)
                prepared = await asyncio.gather(*(self._prepared(item) for item in items))
                # Register only when all are encoded: otherwise a line with a vector would overtake
                # earlier lines with text and take their suffix.
                return list(
                    await asyncio.gather(
                        *(
                            self._registered(number, each)
                            for (number, _), each in zip(lines, prepared, strict=True)
                        )
                    )
                )
        except ProblemError as full:
            return [self._problem(number, full) for number, _ in lines]

    async def _items(self, lines: Sequence[Line]) -> list[ItemToRegister | Exception]:
        """Read lines; a thread reads long ones."""
        if sum(len(line or b"") for _, line in lines) <= READ_AT_ONCE:
            return [self._item(line) for _, line in lines]
        return await asyncio.to_thread(lambda: [self._item(line) for _, line in lines])

    def _item(self, line: bytes | None) -> ItemToRegister | Exception:
        if line is None:
            return ProblemError(422, f"the line is longer than {self._longest:,} bytes")
        try:
            return item_of_line(line, self._tokenizing.catalogue.pipeline)
        except Exception as error:  # noqa: BLE001 - any error is this line's answer
            return error

    async def _prepared(self, item: ItemToRegister | Exception) -> Prepared | Exception:
        if isinstance(item, Exception):
            return item
        try:
            async with self._tokenizing.admission.in_time():
                return await self._tokenizing.prepare([item])
        except Exception as error:  # noqa: BLE001 - any error is this line's answer
            return error

    async def _registered(self, number: int, prepared: Prepared | Exception) -> dict[str, Any]:
        if isinstance(prepared, Exception):
            return self._problem(number, prepared)
        try:
            async with self._tokenizing.admission.in_time():
                [(entry, new)] = await self._tokenizing.register(prepared)
        except Exception as error:  # noqa: BLE001 - any error is this line's answer
            return self._problem(number, error)
        self._count(200)
        return {"line": number} | TokenizedItem.answer(entry, new)

    def _problem(self, number: int, error: Exception) -> dict[str, Any]:
        problem = as_problem(error)
        self._count(problem.status)
        if problem.status == 500:
            log.error("a line failed", line=number, exc_info=error)
        document = problem_document(
            problem, self._request.url.path, self._request.scope.get("root_path", "")
        )
        return {"line": number, "problem": document}


def _no_line(seconds: float) -> ProblemError:
    return ProblemError(408, f"no line arrived within {seconds:g} s; send the request again")


class _StoppingError(Exception):
    """The process has been told to end."""


async def _read_ahead(
    chunks: AsyncIterator[bytes], check: Callable[[], None]
) -> AsyncIterator[bytes]:
    """Yield the bytes that have arrived; a task reads on meanwhile.

    Args:
        chunks: the body.
        check: called while nothing arrives; it may raise an error to end the wait.

    Raises:
        ClientDisconnect: the client disconnects before the end of the body.
        Exception: the error that `check` raises.
    """
    arrived: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES_AHEAD)

    async def read() -> bool:
        whole = True
        try:
            async for chunk in chunks:
                await arrived.put(chunk)
        except ClientDisconnect:
            whole = False
        await arrived.put(None)
        return whole

    reading = asyncio.create_task(read())
    try:
        more = True
        while more:
            taken = [await _first(arrived, check)]
            while not arrived.empty():
                taken.append(arrived.get_nowait())
            more = taken[-1] is not None
            yield b"".join(chunk for chunk in taken if chunk is not None)
        if not await reading:
            raise ClientDisconnect
    finally:
        reading.cancel()


async def _first(arrived: asyncio.Queue[bytes | None], check: Callable[[], None]) -> bytes | None:
    getting = asyncio.ensure_future(arrived.get())
    try:
        while not (await asyncio.wait([getting], timeout=STOP_CHECK_SECONDS))[0]:
            check()
        return getting.result()
    finally:
        getting.cancel()


async def _parts(chunks: AsyncIterator[bytes], longest: int) -> AsyncIterator[list[Line]]:
    """Yield lists of lines with their numbers, from 1; a line over `longest` bytes is None."""
    number, rest, too_long = 0, b"", False
    async for chunk in chunks:
        *ended, rest = (rest + chunk).split(b"\n")
        lines: list[Line] = []
        for line in ended:
            number += 1
            too_long = too_long or len(line) > longest
            if too_long or line.strip():
                lines.append((number, None if too_long else line))
            too_long = False
        if len(rest) > longest:
            rest, too_long = b"", True
        for start in range(0, len(lines), LINES_AT_ONCE):
            yield lines[start : start + LINES_AT_ONCE]
    if too_long or rest.strip():
        yield [(number + 1, None if too_long else rest)]
