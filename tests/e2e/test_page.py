"""The page in a real headless Chromium, over a real service."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.server import run_semid, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small demo."""
    folder = tmp_path_factory.mktemp("page")
    run_semid(
        "demo", "--no-serve", "--out", folder, "--encoder", "hashing", "--items", 600,
        "--shoppers", 100, "--steps", 100,
    )  # fmt: skip
    return folder


def _served(folder: Path) -> tuple[object, ...]:
    return (
        "--tokenizer", folder / "tokenizer", "--ids", folder / "ids.parquet",
        "--catalogue", folder / "items.parquet", "--recommender", folder / "recommender",
        "--database", f"sqlite:///{folder / 'semid.db'}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder / "log", *_served(folder)) as address:
        yield address


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    with _opened(address) as page:
        yield page


@contextmanager
def _opened(address: str) -> Iterator[Page]:
    """Open the page; at the end check that no request failed and none went to another host."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        failures: list[str] = []
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on(
            "console",
            lambda said: failures.append(said.text) if "Security Policy" in said.text else None,
        )
        page.on(
            "request",
            lambda asked: failures.append(asked.url) if not asked.url.startswith(address) else None,
        )
        page.goto(address)
        yield page
        browser.close()
        assert failures == []


def test_an_item_is_found_with_its_id_and_neighbours(page: Page) -> None:
    expect(page.locator("#summary")).to_contain_text("600 items")
    page.get_by_role("searchbox").fill("coffee")
    page.get_by_role("button", name="Search").click()
    first = page.locator("#results .row").first
    expect(first.locator(".title")).to_contain_text(re.compile("coffee", re.IGNORECASE))
    title = first.locator(".title").inner_text()
    first.click()
    expect(page.locator("#item-heading")).to_have_text(title)
    expect(page.locator("#item-id .code")).to_have_count(4)
    expect(page.locator("#item-facts")).to_contain_text(re.compile(r"semantic ID \d+-\d+-\d+-\d+"))
    expect(page.locator("#neighbours .row")).to_have_count(12)
    page.locator("#neighbours .row").first.click()
    expect(page.locator("#item-heading")).not_to_have_text(title)


def test_words_of_no_title_find_items_near_in_meaning(page: Page) -> None:
    page.get_by_role("searchbox").fill("something to brew coffee with")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("#results")).to_contain_text("near in meaning")
    expect(page.locator("#results .row")).to_have_count(20)


def test_prefixes_lead_to_items(page: Page) -> None:
    prefix = page.locator("#prefixes .prefix").first
    code = prefix.get_attribute("data-prefix")
    count = int(prefix.locator("span").first.inner_text().split()[-2])
    prefix.click()
    expect(page.locator("#members .row")).to_have_count(min(count, 50))
    expect(page.locator("#path")).to_contain_text(f"all items – {code}")
    chips = page.locator("#members .codes").evaluate_all(
        "all => all.map(codes => codes.firstChild.textContent)"
    )
    assert set(chips) == {code}


def test_the_api_documentation_needs_no_network(page: Page, address: str) -> None:
    page.goto(f"{address}/docs")
    expect(page.get_by_text("/v1/tokenize", exact=True)).to_be_visible()


def test_the_page_asks_for_a_key_where_one_is_needed(folder: Path) -> None:
    """Nothing is shown without a key; the tab keeps the key, and the log does not contain it."""
    key = run_semid("keys", "add", "page", "--file", folder / "keys.json").strip()
    log = folder / "log-keys"
    with (
        serving(log, *_served(folder), "--keys", folder / "keys.json") as address,
        _opened(address) as page,
    ):
        field = page.get_by_label("API key")
        expect(page.locator("#summary")).to_contain_text("give a key")
        field.fill(f"{key}x")
        field.press("Enter")
        expect(field).to_have_value("")
        expect(field).to_be_visible()
        expect(page.locator("#prefixes .prefix")).to_have_count(0)
        field.fill(key)
        page.get_by_role("button", name="Use").click()
        expect(page.locator("#summary")).to_contain_text("600 items")
        expect(field).to_be_hidden()
        page.reload()
        expect(page.locator("#prefixes .prefix").first).to_be_visible()
        expect(field).to_be_hidden()
        assert page.evaluate("Object.keys(localStorage).length + document.cookie.length") == 0
    assert key not in log.read_text()


def test_what_comes_next_follows_the_history(page: Page) -> None:
    page.get_by_role("searchbox").fill("coffee")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#next")).to_be_hidden()
    for place in (0, 1):
        page.locator("#results .row").nth(place).click()
        page.get_by_role("button", name="Add to history").click()
        expect(page.locator("#history .step")).to_have_count(place + 1)
        expect(page.locator("#recommended .row")).to_have_count(12)
    chosen = page.locator("#results .row").nth(0).get_attribute("data-item-id")
    shown = page.locator("#recommended .row")
    assert chosen not in [row.get_attribute("data-item-id") for row in shown.all()]
    page.locator("#history .step").first.click()
    expect(page.locator("#history .step")).to_have_count(1)
    page.locator("#history .step").first.click()
    expect(page.locator("#next")).to_be_hidden()
