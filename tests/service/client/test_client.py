"""The client against a service that listens: its examples, its batches, its retries."""

import asyncio
import doctest
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from service.client import AsyncSemid, ItemProblem, Semid, SemidError, clients, conversation
from service.engine.problem_error import ProblemError
from service.http.messages.limits import RequestLimits
from service.http.messages.problems import problem_response
from service.http.messages.schemas import Item, TokenizedItem
from service.http.security.guard import Access
from service.http.security.keys import KeyRing, add_key
from tests.service.http.listening import listening_at

Make = Callable[[Access], FastAPI]
LIMITS = RequestLimits(most_items=40, most_body=8192)
BULK = "/v1/tokenize:bulk"


class Counted:
    """An application that keeps the bodies that came, and refuses the first so many requests."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.sizes: list[tuple[str, int]] = []
        self.refusals: list[ProblemError] = []
        self.cuts = 0  # bulks that end in the middle of an answer
        self.stalls = 0  # requests that get no answer in time
        self.lost = 0  # removals that are done, and whose answer breaks off

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            length = dict(scope["headers"]).get(b"content-length", b"0")
            self.sizes.append((scope["path"], int(length)))
            if self.refusals and scope["path"] in {"/v1/tokenize", BULK}:
                answer: JSONResponse = problem_response(self.refusals.pop(0), Request(scope))
                await answer(scope, receive, send)
                return
            if self.cuts and scope["path"] == BULK:
                self.cuts -= 1
                await _break_off(send)
                return
            if self.stalls:
                self.stalls -= 1
                await asyncio.sleep(1)
            if self.lost and scope["method"] == "DELETE":
                self.lost -= 1
                await self.app(scope, receive, _nowhere)
                await _break_off(send)
                return
        await self.app(scope, receive, send)


async def _break_off(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"li', "more_body": True})


async def _nowhere(_: Message) -> None:
    pass


@pytest.fixture(scope="module")
def counted(application: Make) -> Counted:
    return Counted(application(Access(limits=LIMITS)))


@pytest.fixture(scope="module")
def address(counted: Counted) -> Iterator[str]:
    with listening_at(counted) as address:
        yield address


@pytest.fixture
def semid(address: str) -> Iterator[Semid]:
    with Semid(address) as semid:
        yield semid


def test_the_examples_are_true(application: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs(), listening_at(application(Access())) as address:
        monkeypatch.setenv("SEMID_URL", address)
        shown = {"Semid": Semid, "asyncio": asyncio}
        tried = [doctest.testmod(part, extraglobs=shown) for part in (clients, conversation)]
    assert min(part.attempted for part in tried) >= 4
    assert not any(part.failed for part in tried)


def test_big_batches_are_split_by_the_services_own_limits(
    semid: Semid, counted: Counted, items: pl.DataFrame
) -> None:
    rows = items.head(100).to_dicts()
    del counted.sizes[:]
    answers = semid.tokenize(iter(rows))
    assert [answer.item_id for answer in answers] == [row["item_id"] for row in rows]
    assert {answer.status for answer in answers} == {"created"}
    posted = [size for path, size in counted.sizes if path == "/v1/tokenize"]
    assert len(posted) >= 3
    assert max(posted) <= LIMITS.most_body
    assert semid.tokenize([]) == []


def test_vectors_go_in_binary_and_mean_the_same(
    semid: Semid, counted: Counted, vectors: NDArray[np.float32]
) -> None:
    some = vectors[:60]
    named = [f"json-{row}" for row in range(60)]
    plain = semid.tokenize(
        {"item_id": name, "vector": vector} for name, vector in zip(named, some, strict=True)
    )
    del counted.sizes[:]
    packed = semid.tokenize_vectors([f"bin-{row}" for row in range(60)], some, ["Title"] * 60)
    assert [item.codes for item in packed] == [item.codes for item in plain]
    assert {item.title for item in packed} == {"Title"}
    posted = [size for path, size in counted.sizes if path == "/v1/tokenize"]
    assert len(posted) > 1
    assert max(posted) <= LIMITS.most_body
    with pytest.raises(ValueError, match="2 item_ids, 60 vectors"):
        semid.tokenize_vectors(["a", "b"], some)


def test_what_is_registered_is_read(
    semid: Semid, items: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "PAGE", 7)
    [first] = semid.tokenize(items.head(1).to_dicts())
    assert semid.item(first.item_id) == Item(**first.model_dump(exclude={"status"}))
    semid.tokenize([{"item_id": "a/b?c#d é", "title": "Copper kettle"}])
    odd = semid.item("a/b?c#d é")
    assert odd is not None
    assert odd.title == "Copper kettle"
    prefix = str(first.codes[0])
    under = list(semid.items(prefix))
    assert first.item_id in {item.item_id for item in under}
    assert sum(entry.items for entry in semid.prefixes(prefix)) == len(under)
    assert [item.item_id for item in semid.items(search="copper kettl")].count("a/b?c#d é") == 1
    own = semid.tokenizer().fingerprint
    mapped = {each.item_id: (each.old, each.new) for each in semid.id_map(own, own[:8])}
    assert mapped[first.item_id] == (first.semantic_id, first.semantic_id)
    assert len(mapped) == sum(entry.items for entry in semid.prefixes())
    with pytest.raises(SemidError, match="no tokenizer"):
        list(semid.id_map(own, "f" * 64))
    near = semid.similar(item_id=first.item_id, k=3)
    assert len(near) == 3
    with pytest.raises(SemidError) as refused:
        semid.similar(text="x", item_id="y")
    assert refused.value.status == 422
    assert semid.remove("a/b?c#d é")
    assert semid.item("a/b?c#d é") is None
    assert not semid.remove("a/b?c#d é")
    with pytest.raises(SemidError, match="has no recommender"):
        semid.recommend([[first.item_id]])
    with pytest.raises(SemidError, match="no item has an ID that starts with 31-31-31"):
        list(semid.items("31-31-31"))


def test_refusals_for_now_are_waited_out(semid: Semid, counted: Counted) -> None:
    counted.refusals = [
        ProblemError(429, "full", headers={"Retry-After": "1"}),
        ProblemError(503, "starting"),
    ]
    del counted.sizes[:]
    [item] = semid.tokenize([{"item_id": "patient", "title": "Copper kettle"}])
    assert item.item_id == "patient"
    assert len([path for path, _ in counted.sizes if path == "/v1/tokenize"]) == 3


def test_retries_end_and_other_refusals_are_told_at_once(address: str, counted: Counted) -> None:
    item = {"item_id": "late", "title": "Copper kettle"}
    with Semid(address, retries=1) as hasty:
        hasty.tokenizer()
        counted.refusals = [ProblemError(503, "starting") for _ in range(3)]
        with pytest.raises(SemidError) as refused:
            hasty.tokenize([item])
        assert refused.value.status == 503
        assert len(counted.refusals) == 1
        counted.refusals = [ProblemError(507, "full"), ProblemError(507, "full")]
        with pytest.raises(SemidError, match="507 Storage full: full"):
            hasty.tokenize([item])
        assert len(counted.refusals) == 1
        counted.refusals = []
        with pytest.raises(SemidError) as refused:
            hasty.tokenize([{"item_id": "x"}])
        assert refused.value.problem.errors[0]["path"] == "items/0"
    with Semid("http://127.0.0.1:9", retries=1) as nobody, pytest.raises(httpx.ConnectError):
        nobody.tokenizer()


def test_a_key_opens_and_a_wrong_one_does_not(
    application: Make, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    key = add_key(file, "client", ["read"])
    with listening_at(application(Access(KeyRing(file)))) as address:
        with Semid(address, key) as semid:
            assert semid.tokenizer().levels == 3
            with pytest.raises(SemidError, match="403 The key does not allow this"):
                semid.tokenize([{"item_id": "a", "title": "b"}])
        with Semid(address, f"{key}x") as semid, pytest.raises(SemidError, match="401"):
            semid.tokenizer()
        monkeypatch.setenv("SEMID_KEY", f"{key}\n")  # as a file of a secret has it
        with Semid(address) as semid:
            assert semid.tokenizer().levels == 3
        for wrong in (f"{key}\nx", f"{key}é"):
            with pytest.raises(ValueError, match="invalid characters") as refused:
                Semid(address, wrong)
            assert key not in str(refused.value)


def test_an_item_may_be_called_as_folders_are(semid: Semid) -> None:
    for item_id in (".", "..", "...", "a/../b"):
        [made] = semid.tokenize([{"item_id": item_id, "title": "Rose soap"}])
        found = semid.item(item_id)
        assert found is not None
        assert (found.item_id, found.semantic_id) == (item_id, made.semantic_id)


def test_a_wrong_address_is_not_an_unknown_item(address: str) -> None:
    with Semid(address) as semid:
        assert semid.item("nobody") is None
        assert semid.remove("nobody") is False
    with Semid(f"{address}/api") as semid:
        with pytest.raises(SemidError, match="404"):
            semid.item("nobody")
        with pytest.raises(SemidError, match="404"):
            semid.remove("nobody")


def test_a_bulk_that_is_cut_off_goes_on(address: str, counted: Counted) -> None:
    rows = [{"item_id": f"cut-{row}", "title": "Soap"} for row in range(30)]
    counted.cuts = 2
    with Semid(address) as semid:
        answers = list(semid.bulk(rows))
        assert [one.item_id for one in answers if isinstance(one, TokenizedItem)] == [
            row["item_id"] for row in rows
        ]

    async def main() -> int:
        async with AsyncSemid(address) as semid:
            return len([one async for one in semid.bulk(rows)])

    counted.cuts = 1
    assert asyncio.run(main()) == 30
    counted.cuts = 9
    with Semid(address, retries=1) as semid, pytest.raises(httpx.TransportError):
        list(semid.bulk(rows))
    counted.cuts = 0


def test_an_event_loop_has_the_same_methods(address: str, items: pl.DataFrame) -> None:
    for name in dir(Semid):
        assert name.startswith("_") or hasattr(AsyncSemid, name), name
    rows = items.slice(100, 90).to_dicts()

    async def ask() -> None:
        async with AsyncSemid(address) as semid:
            answers = await semid.tokenize(rows)
            assert [answer.item_id for answer in answers] == [row["item_id"] for row in rows]
            vectors = np.eye(2, (await semid.tokenizer()).dimension, dtype=np.float32)
            assert len(await semid.tokenize_vectors(["e0", "e1"], vectors)) == 2
            assert (await semid.item("e0")) is not None
            assert (await semid.item("none")) is None
            prefix = str(answers[0].codes[0])
            under = [item async for item in semid.items(prefix)]
            assert sum(entry.items for entry in await semid.prefixes(prefix)) == len(under)
            own = (await semid.tokenizer()).fingerprint
            assert "e0" in {each.item_id async for each in semid.id_map(own, own)}
            assert len(await semid.similar(vector=vectors[0], k=2)) == 2

    asyncio.run(ask())


def test_a_bulk_gives_every_item_an_answer_in_order(
    semid: Semid, address: str, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.client.bulk.PART_ITEMS", 100)
    rows: list[dict[str, Any]] = [
        {"item_id": f"bulk-{row}", "title": f"Kettle {row % 7}"} for row in range(250)
    ]
    rows[120] = {"item_id": "bulk-120"}
    read = 0

    def lazily() -> Iterator[dict[str, Any]]:
        nonlocal read
        for row in rows:
            read += 1
            yield row

    counted.refusals = [ProblemError(429, "full", headers={"Retry-After": "1"})]
    answers = semid.bulk(lazily())
    first = next(answers)
    assert isinstance(first, TokenizedItem)
    assert read <= 102
    found = [first, *answers]
    assert [getattr(answer, "item_id", None) for answer in found] == [
        None if row == 120 else f"bulk-{row}" for row in range(250)
    ]
    wrong = found[120]
    assert isinstance(wrong, ItemProblem)
    assert (wrong.index, wrong.problem.status) == (120, 422)

    async def again() -> list[TokenizedItem | ItemProblem]:
        async with AsyncSemid(address) as other:
            return [answer async for answer in other.bulk(rows)]

    statuses = [getattr(answer, "status", None) for answer in asyncio.run(again())]
    assert statuses == [None if row == 120 else "known" for row in range(250)]


def test_a_request_that_times_out_is_sent_again(address: str, counted: Counted) -> None:
    with Semid(address, timeout=0.4) as semid:
        semid.tokenizer()
        counted.stalls = 2
        [item] = semid.tokenize([{"item_id": "stalled", "title": "Copper kettle"}])
        assert item.item_id == "stalled"
        assert counted.stalls == 0
    with Semid(address, timeout=0.4, retries=1) as hasty:
        counted.stalls = 3
        with pytest.raises(httpx.ReadTimeout):
            hasty.tokenizer()
        assert counted.stalls == 1
    counted.stalls = 0


def test_a_removal_whose_answer_was_lost_is_done(address: str, counted: Counted) -> None:
    def register(item_id: str) -> None:
        with Semid(address) as semid:
            semid.tokenize([{"item_id": item_id, "title": "Copper kettle"}])

    async def remove() -> bool:
        async with AsyncSemid(address) as semid:
            return await semid.remove("lost-2")

    register("lost-1")
    register("lost-2")
    counted.lost = 2
    with Semid(address) as semid:
        assert semid.remove("lost-1")
        assert semid.item("lost-1") is None
    assert asyncio.run(remove())
    assert counted.lost == 0


def test_titles_may_hold_any_character(address: str) -> None:
    """The service writes them as they are, so that a line of its answer may hold U+2028."""
    titles = ["hand\u2028cream", "next\u2029paragraph", "plain"]
    rows = [{"item_id": f"odd-{row}", "title": title} for row, title in enumerate(titles)]

    async def all_of(semid: AsyncSemid) -> list[TokenizedItem | ItemProblem]:
        async with semid:
            return [answer async for answer in semid.bulk(rows)]

    with Semid(address) as semid:
        for answers in (list(semid.bulk(rows)), asyncio.run(all_of(AsyncSemid(address)))):
            assert [getattr(answer, "title", None) for answer in answers] == titles


def test_a_request_may_mean_a_tokenizer(address: str) -> None:
    with Semid(address) as semid:
        own = semid.tokenizer().fingerprint
    with Semid(address, tokenizer=own[:9]) as semid:
        assert semid.tokenizer().fingerprint == own
        assert semid.prefixes()
    with Semid(address, tokenizer="f" * 64) as semid:
        with pytest.raises(SemidError, match="404"):
            semid.tokenizer()
        with pytest.raises(SemidError, match="404"):
            list(semid.bulk([{"item_id": "a", "title": "b"}]))
