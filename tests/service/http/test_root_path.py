"""Behind a proxy that takes a path off, every link of pages, docs and problems holds."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import FastAPI

from service.http.security.guard import Access
from tests.service.http.listening import listening_at
from tests.service.http.proxy import proxied

LINK = re.compile(r"""(?:href|src)="([^"#]+)"|url: '([^']+)'""")


@pytest.fixture(scope="module")
def address(application: Callable[[Access], FastAPI]) -> Iterator[str]:
    """Return the address of a service that is at /shop/semid of another server."""
    app = application(Access(hosts=()))
    with (
        listening_at(app, root_path="/shop/semid") as behind,
        proxied(behind, "/shop/semid") as address,
    ):
        yield address


@pytest.mark.parametrize("page", ["/", "/docs", "/problems", "/problems/not-found"])
def test_what_a_page_links_to_is_there(address: str, page: str) -> None:
    answer = httpx.get(address + page)
    assert answer.status_code == 200
    links = [one or other for one, other in LINK.findall(answer.text)]
    assert links
    for link in links:
        found = httpx.get(urljoin(address + page, link))
        assert found.status_code == 200, link
        assert found.url.path.startswith("/shop/semid/")


def test_the_interface_is_described_where_it_is(address: str) -> None:
    described = httpx.get(f"{address}/openapi.json").json()
    [server] = described["servers"]
    base = urljoin(f"{address}/openapi.json", server["url"])
    assert httpx.get(f"{base}/v1/tokenizer").status_code == 200


def test_problems_lead_to_their_description(address: str) -> None:
    """Of a route, of the guard, and of a line of a bulk."""
    media = {"content-type": "application/x-ndjson"}
    lines = httpx.post(f"{address}/v1/tokenize:bulk", content=b"{}", headers=media).json()
    for problem in (
        httpx.get(f"{address}/v1/items/none").json(),
        httpx.post(f"{address}/v1/items/none").json(),
        lines["problem"],
    ):
        assert problem["instance"].startswith("/shop/semid/v1/")
        page = httpx.get(urljoin(address, problem["type"]))
        assert page.status_code == 200
        assert problem["title"] in page.text


def test_items_are_tokenized_read_and_removed(address: str) -> None:
    item = {"items": [{"item_id": "a/b c", "title": "Copper kettle"}]}
    assert httpx.post(f"{address}/v1/tokenize", json=item).status_code == 200
    assert httpx.get(f"{address}/v1/items/a%2Fb%20c").json()["item_id"] == "a/b c"
    assert httpx.delete(f"{address}/v1/items/a/b%20c").status_code == 204
