"""`semid serve` at a Unix socket and under a path of another server, as a proxy reaches it."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.e2e.chromium import CHROMIUM, FLAGS
from tests.e2e.server import serving
from tests.service.databases import sqlite_url
from tests.service.http.proxy import proxied


def test_a_unix_socket_and_a_path_reach_the_service(tokenizer_folder: Path, tmp_path: Path) -> None:
    """The socket goes with the service; another host's name is refused there, too."""
    path = tmp_path / "semid.sock"
    arguments = ("--tokenizer", tokenizer_folder, "--database", sqlite_url(tmp_path))
    with serving(tmp_path / "log", *arguments, "--uds", path, "--allowed-host", "shop.example"):
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://shop.example") as client:
            item = {"items": [{"item_id": "a", "title": "Copper kettle"}]}
            assert client.post("/v1/tokenize", json=item).status_code == 200
            assert client.get("/v1/items/a").json()["title"] == "Copper kettle"
            assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert not path.exists()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_page_works_under_a_path(tokenizer_folder: Path, tmp_path: Path) -> None:
    arguments = ("--tokenizer", tokenizer_folder, "--database", sqlite_url(tmp_path))
    with (
        serving(tmp_path / "log", *arguments, "--root-path", "/shop/semid") as behind,
        proxied(behind, "/shop/semid") as address,
        sync_playwright() as playwright,
    ):
        items = [{"item_id": "a b/c", "title": "Copper kettle"}, {"item_id": "d", "title": "Soap"}]
        httpx.post(f"{address}/v1/tokenize", json={"items": items}).raise_for_status()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        failures: list[str] = []
        page.on(
            "response",
            lambda answer: (
                failures.append(answer.url)
                if answer.status >= 500 or not answer.url.startswith(address)
                else None
            ),
        )
        page.goto(f"{address}/")
        expect(page.locator("#summary")).to_contain_text("2 items")
        page.get_by_role("searchbox").fill("kettle")
        page.get_by_role("button", name="Search").click()
        page.locator("#results .row").first.click()
        expect(page.locator("#item-heading")).to_have_text("Copper kettle")
        expect(page.locator("#neighbours .row")).to_have_count(1)
        page.get_by_role("link", name="HTTP interface").click()
        expect(page.get_by_text("/v1/tokenize", exact=True)).to_be_visible()
        browser.close()
        assert failures == []
