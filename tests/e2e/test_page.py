"""The page in a real headless Chromium, over a real service."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.server import run_semid, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


SHOP = "https://shop.example/"
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small demo."""
    folder = tmp_path_factory.mktemp("page")
    run_semid(
        "demo", "--no-serve", "--out", folder, "--encoder", "hashing", "--items", 600,
        "--shoppers", 100, "--steps", 100,
    )  # fmt: skip
    items = pl.read_parquet(folder / "items.parquet").with_columns(
        link=pl.format(f"{SHOP}{{}}", "item_id"), image_link=pl.lit(f"{SHOP}picture.svg")
    )
    items.write_parquet(folder / "items.parquet")
    run_semid(
        "fit", folder / "items.parquet", "--encoder", "hashing", "--cache", folder / "cache",
        "--set", "steps=60", "--set", "warmup_steps=20", "--set", "levels=3",
        "--set", "codebook_size=32",
        "--out", folder / "other",
    )  # fmt: skip
    run_semid(
        "tokenize", folder / "items.parquet", "--tokenizer", folder / "other",
        "--cache", folder / "cache", "--out", folder / "other-ids.parquet",
    )  # fmt: skip
    return folder


def _served(folder: Path) -> tuple[object, ...]:
    return (
        "--tokenizer", folder / "tokenizer", "--ids", folder / "ids.parquet",
        "--tokenizer", folder / "other", "--ids", folder / "other-ids.parquet",
        "--cache", folder / "cache",
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
            lambda asked: (
                failures.append(asked.url)
                if not asked.url.startswith((address, SHOP, "blob:"))
                else None
            ),
        )
        page.route(
            f"{SHOP}**",
            lambda route: route.fulfill(content_type="image/svg+xml", body=PICTURE),
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
    code, items = prefix.get_attribute("data-prefix"), prefix.get_attribute("data-items")
    count = int(items or 0)
    expect(prefix).to_contain_text(f"{count} items")
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
        expect(page.locator("#summary")).to_contain_text("a valid key is needed")
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


def _sizes(page: Page) -> list[int]:
    cards = page.locator("#prefixes .prefix")
    expect(cards.first).to_be_visible()
    return [int(card.get_attribute("data-items") or 0) for card in cards.all()]


def test_cards_have_words_and_a_central_item_and_are_sorted(page: Page) -> None:
    first = page.locator("#prefixes .prefix").first
    expect(first.locator("strong")).not_to_be_empty()
    expect(first.locator(".central")).not_to_be_empty()
    expect(first).to_contain_text(re.compile(r"coherence 0?-?\d\.\d\d, by chance -?\d\.\d\d"))
    expect(page.locator("#sizes")).to_contain_text("1 code: ")
    sizes = _sizes(page)
    assert sizes == sorted(sizes, reverse=True)
    page.get_by_label("Sort by").select_option("number")
    expect(page).to_have_url(re.compile("sort=number"))
    expect(first).not_to_have_attribute("data-items", str(sizes[0]))
    codes = [
        int(card.get_attribute("data-prefix") or -1)
        for card in page.locator("#prefixes .prefix").all()
    ]
    assert codes == sorted(codes)


def test_the_tree_is_walked(page: Page) -> None:
    """A row for each code; a box as wide as its items are many; the path is marked."""
    boxes = page.locator("#tree .box")
    expect(boxes.first).to_be_visible()
    widths = [float(width or 0) for width in boxes.locator("rect").evaluate_all(
        "all => all.map(rect => rect.getAttribute('width'))")]  # fmt: skip
    sizes = _sizes(page)
    assert len(widths) == len(sizes)
    assert (widths[0] + 1) / 1000 == pytest.approx(sizes[0] / 600)
    code = boxes.first.get_attribute("data-prefix")
    boxes.first.click()
    expect(page.locator("#tree .box.on")).to_have_count(1)
    expect(page.locator("#path")).to_contain_text(f"all items – {code}")
    longer = page.locator(f'#tree .box[data-prefix^="{code}-"]').first
    longer.click()
    expect(page.locator("#tree .box.on")).to_have_count(2)
    page.go_back()
    expect(page.locator("#path")).to_have_text(f"all items – {code}")


def test_an_item_shows_its_fields_its_picture_and_its_page(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}#item=D00004")
    expect(page.locator("#item-heading")).not_to_be_empty()
    fields = page.locator("#item-fields")
    for name in ("title", "brand", "categories", "price", "link"):
        expect(fields.locator("dt", has_text=re.compile(f"^{name}$"))).to_be_visible()
    expect(page.get_by_role("link", name="Open its page")).to_have_attribute(
        "href", f"{SHOP}D00004"
    )
    expect(page.locator("#item-image")).to_have_js_property("naturalWidth", 40)
    expect(page.locator("#neighbours .row").first).to_contain_text(re.compile(r"cosine \d\.\d\d$"))


def test_a_text_is_tokenized_without_being_registered(page: Page) -> None:
    page.get_by_label("text to tokenize").fill("Copper kettle for two")
    page.get_by_role("button", name="Tokenize").click()
    expect(page.locator("#tried .code").first).to_be_visible()
    assert page.locator("#tried > .codes .code").count() == 4
    expect(page.locator("#tried")).to_contain_text("distortion")
    expect(page.locator("#tried .row")).to_have_count(5)
    page.reload()
    expect(page.locator("#tried > .codes .code")).to_have_count(4)
    expect(page.locator("#summary")).to_contain_text("600 items")


def test_another_tokenizer_is_chosen(page: Page) -> None:
    chooser = page.locator("#tokenizer")
    expect(chooser.locator("option")).to_have_count(2)
    page.goto(f"{page.url.partition('#')[0]}#item=D00004")
    expect(page.locator("#item-id .code")).to_have_count(4)
    chooser.select_option(index=1)
    expect(page.locator("#item-id .code")).to_have_count(3)
    expect(page.locator("#summary")).to_contain_text("3 × 32")
    page.reload()
    expect(page.locator("#item-id .code")).to_have_count(3)
    page.get_by_role("button", name="Add to history").click()
    expect(page.locator("#recommended .row")).to_have_count(12)
    page.locator("#recommended .row").first.click()
    expect(page.locator("#item-id .code")).to_have_count(3)
    page.locator("#item-id a.code").first.click()
    expect(page.locator("#members .row").first).to_be_visible()


def test_the_url_has_the_search_the_place_and_the_history(page: Page, address: str) -> None:
    page.goto(f"{address}/#q=coffee&item=D00004&prefix=&history=D00001,D00002")
    expect(page.get_by_role("searchbox")).to_have_value("coffee")
    expect(page.locator("#results .row").first).to_be_visible()
    expect(page.locator("#history .step")).to_have_count(2)
    expect(page.locator("#recommended .row")).to_have_count(12)
    expect(page.locator("#item-facts")).to_contain_text("D00004")
    page.mouse.wheel(0, 20_000)
    expect(page.locator("#next-heading")).to_be_in_viewport()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#next")).to_be_hidden()
    page.go_back()
    expect(page.locator("#history .step")).to_have_count(2)


def test_items_are_exported(page: Page, tmp_path: Path) -> None:
    card = page.locator("#prefixes .prefix").first
    code, count = card.get_attribute("data-prefix"), int(card.get_attribute("data-items") or 0)
    card.click()
    expect(page.locator("#members .row")).to_have_count(min(count, 50))
    with page.expect_download() as download:
        page.get_by_role("button", name="Export items").click()
    download.value.save_as(tmp_path / "items.csv")
    table = pl.read_csv(tmp_path / "items.csv", infer_schema=False)
    assert table.columns == ["item_id", "semantic_id", "title"]
    assert table.height == count
    assert set(table["semantic_id"].str.split("-").list.first()) == {code}


def test_the_page_fits_narrow_screens(page: Page, address: str) -> None:
    page.goto(f"{address}/#q=coffee&item=D00004&history=D00001")
    expect(page.locator("#recommended .row")).to_have_count(12)
    for width in (1600, 1000, 700, 380):
        page.set_viewport_size({"width": width, "height": 800})
        wider = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) <= 0, width
