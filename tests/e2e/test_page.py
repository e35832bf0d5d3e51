"""The page in a real headless Chromium, over a real service."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.e2e.chromium import CHROMIUM, FLAGS, SHOP, opened
from tests.e2e.server import run_semid, serving
from tests.e2e.small import fit_and_tokenize

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
expect.set_options(timeout=30_000)  # milliseconds; machines may be busy

UNSAFE = "http://shop.example/a.svg"
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small demo."""
    folder = tmp_path_factory.mktemp("page")
    run_semid(
        "demo", "--no-serve", "--out", folder, "--encoder", "hashing", "--items", 600,
        "--shoppers", 100, "--steps", 100,
    )  # fmt: skip
    items = pl.read_parquet(folder / "items.parquet").with_columns(
        link=pl.format(f"{SHOP}{{}}", "item_id"),
        image_link=pl.when(item_id="D00005").then(pl.lit(UNSAFE)).otherwise(pl.lit(f"{SHOP}a.svg")),
        note=pl.lit("javascript:alert(1)"),
    )
    items.write_parquet(folder / "items.parquet")
    fit_and_tokenize(folder, "other", "other-ids.parquet")
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, address) as page:
        yield page


def _found(page: Page, words: str) -> Locator:
    page.get_by_role("searchbox").fill(words)
    page.get_by_role("button", name="Search").click()
    rows = page.locator("#results .row")
    expect(rows.first).to_be_visible()
    return rows


def test_an_item_is_found_with_its_id_and_neighbours(page: Page) -> None:
    expect(page.locator("#summary")).to_contain_text("600 items")
    first = _found(page, "coffee").first
    expect(first.locator(".title")).to_contain_text(re.compile("coffee", re.IGNORECASE))
    expect(page.locator("#results-said")).to_contain_text(re.compile(r"^\d+ items found"))
    title = first.locator(".title").inner_text()
    first.click()
    heading = page.locator("#item-heading")
    expect(heading).to_have_text(title)
    expect(heading).to_be_focused()
    expect(page).to_have_title(f"{title} – semid")
    expect(page.locator("#item-id .code")).to_have_count(4)
    expect(page.locator("#item-facts")).to_contain_text(re.compile(r"semantic_id\d+-\d+-\d+-\d+"))
    expect(page.locator("#neighbours .row")).to_have_count(12)
    cosines = [
        float(text.removeprefix("cosine "))
        for text in page.locator("#neighbours .dim").all_inner_texts()
    ]
    assert cosines == sorted(cosines, reverse=True)
    page.locator("#neighbours .row").first.click()
    expect(heading).not_to_have_text(title)


def test_words_of_no_title_find_items_near_in_meaning(page: Page) -> None:
    page.get_by_role("searchbox").fill("something to brew coffee with")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("#results-said")).to_contain_text("near in meaning")
    expect(page.locator("#results .row")).to_have_count(20)
    expect(page.locator("#results .row").first).to_contain_text(re.compile(r"cosine \d\.\d\d"))


def test_an_item_shows_its_fields_its_picture_and_its_page(page: Page, address: str) -> None:
    """An address becomes a link only if it is one of the web; a picture is loaded by https only."""
    page.goto(f"{address}/#item=D00004")
    facts = page.locator("#item-facts")
    for name in ("item_id", "distortion", "brand", "categories", "price"):
        expect(facts.locator("dt", has_text=re.compile(f"^{name}$"))).to_be_visible()
    expect(facts.locator("a")).to_have_count(2)
    expect(facts.locator("a").first).to_have_attribute("href", f"{SHOP}D00004")
    expect(facts.locator("a").first).to_have_attribute("rel", re.compile("noopener"))
    expect(facts).to_contain_text("javascript:alert(1)")
    expect(page.locator("#item-picture img")).to_have_js_property("naturalWidth", 40)
    expect(page.locator("#item-picture img")).to_have_attribute("alt", re.compile("^Picture of "))
    page.goto(f"{address}/#item=D00005")
    expect(facts.locator("a").last).to_have_attribute("href", UNSAFE)
    expect(page.locator("#item-picture img")).to_have_count(0)


def test_a_text_is_tokenized_and_not_registered(page: Page) -> None:
    page.get_by_role("searchbox").fill("Copper kettle for two")
    page.get_by_role("button", name="Tokenize this text").click()
    chips = page.locator("#tokenized a.code")
    expect(chips).to_have_count(4)
    expect(page.locator("#tokenized")).to_contain_text(
        re.compile(r"\d+: \d+ items? · .*distortion")
    )
    expect(page.locator("#results .row")).to_have_count(20)
    page.reload()
    expect(page.locator("#summary")).to_contain_text("600 items")
    expect(chips).to_have_count(4)
    code = chips.first.inner_text()
    if "no item" not in page.locator("#results-said").inner_text().lower():
        chips.first.click()
        expect(page.locator("#path")).to_have_text(f"all items – {code}")


def test_another_tokenizer_is_chosen(page: Page, address: str) -> None:
    """Items, prefixes and recommendations are then those of the chosen tokenizer."""
    chooser = page.get_by_label("Tokenizer", exact=True)
    expect(chooser.locator("option")).to_have_text(
        [re.compile("4 × 256.*default$"), "other: 3 × 32 grit"]
    )
    page.goto(f"{address}/#item=D00004&history=D00001")
    expect(page.locator("#item-id .code")).to_have_count(4)
    chooser.select_option(index=1)
    expect(page.locator("#summary")).to_contain_text("3 × 32")
    query = {"tokenizer": chooser.input_value()[:16]}
    asked = {"history": ["D00001"], "k": 1}
    answer = httpx.post(f"{address}/v1/recommend", params=query, json=asked).json()
    [[recommended]] = answer["lists"]
    assert len(recommended["codes"]) == 3
    shown = page.locator("#recommended .row .codes").first.locator(".code")
    for _ in ("chosen", "reloaded"):
        expect(page.locator("#item-id .code")).to_have_count(3)
        expect(shown).to_have_text(recommended["semantic_id"].split("-"))
        page.reload()
    page.locator("#item-id a.code").first.click()
    expect(page.locator("#members .row").first.locator(".code").nth(2)).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.locator("#item-id .code")).to_have_count(4)


def test_the_history_leads_to_recommendations_that_stay_in_view(page: Page) -> None:
    rows = _found(page, "coffee")
    expect(page.locator("#next")).to_be_hidden()
    chosen = rows.first.get_attribute("data-item-id")
    rows.first.click()
    page.get_by_role("button", name="Add to history").click()
    expect(page.locator("#recommended .row")).to_have_count(12)
    rows.nth(1).get_by_role("button").click()
    expect(page.locator("#history .step")).to_have_count(2)
    expect(page.locator("#recommended .row")).to_have_count(12)
    shown = page.locator("#recommended .row").all()
    assert chosen not in [row.get_attribute("data-item-id") for row in shown]
    page.mouse.wheel(0, 20_000)
    expect(page.locator("#next-heading")).to_be_in_viewport()
    page.locator("#history .step").first.click()
    expect(page.locator("#history .step")).to_have_count(1)
    page.get_by_role("button", name="Clear history").click()
    expect(page.locator("#next")).to_be_hidden()
    page.go_back()
    expect(page.locator("#history .step")).to_have_count(1)


def test_the_address_holds_the_whole_place(page: Page, address: str) -> None:
    """A link opens the place, and the back button returns to each earlier one."""
    page.goto(f"{address}/#q=coffee&item=D00004&history=D00001&history=D00002")
    expect(page.get_by_role("searchbox")).to_have_value("coffee")
    expect(page.locator("#results .row").first).to_be_visible()
    expect(page.locator("#history .step")).to_have_count(2)
    expect(page.locator("#item-facts")).to_contain_text("D00004")
    _found(page, "kettle")
    page.locator("#prefixes .prefix").first.click()
    expect(page).to_have_url(
        re.compile(r"#q=kettle&item=D00004&prefix=\d+&history=D00001&history=D00002$")
    )
    page.go_back()
    expect(page.locator("#path")).to_have_text("all items")
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value("coffee")
    with page.context.expect_page() as opened:
        page.locator("#results .title").first.click(modifiers=["ControlOrMeta"])
    expect(opened.value.locator("#history .step")).to_have_count(2)
    expect(page.locator("#item-facts")).to_contain_text("D00004")


def _sizes(page: Page) -> list[int]:
    expect(page.locator("#prefixes .prefix").first).to_be_visible()
    heads = page.locator("#prefixes .head").all_inner_texts()
    return [int(head.split()[1]) for head in heads]


def test_cards_have_words_and_a_central_item_and_are_sorted(page: Page) -> None:
    sizes = _sizes(page)
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == 600
    first = page.locator("#prefixes .prefix").first
    expect(first.locator(".words")).not_to_be_empty()
    expect(first.locator(".dim")).to_have_text(
        [re.compile("."), re.compile(r"^coherence -?\d\.\d\d, by chance -?\d\.\d\d$")]
    )
    expect(page.locator("#depths li")).to_have_count(4)
    expect(page.locator("#depths li").first).to_contain_text(f"{len(sizes)} prefixes")
    page.get_by_label("Sorted by").select_option("number")
    expect(page).to_have_url(re.compile("sort=number"))
    expect(first.locator(".code")).to_have_text(re.compile("^[0-3]$"))
    codes = [int(text) for text in page.locator("#prefixes .code").all_inner_texts()]
    assert codes == sorted(codes)
    page.get_by_label("Sorted by").select_option("coherence")
    expect(page).to_have_url(re.compile("sort=coherence"))
    page.go_back()
    expect(page.get_by_label("Sorted by")).to_have_value("number")


def test_prefixes_lead_to_items(page: Page) -> None:
    prefix = page.locator("#prefixes .prefix").first
    code, count = prefix.get_attribute("data-prefix"), _sizes(page)[0]
    prefix.click()
    expect(page.locator("#members .row")).to_have_count(min(count, 50))
    expect(page.locator("#path")).to_have_text(f"all items – {code}")
    chips = page.locator("#members .codes").evaluate_all(
        "all => all.map(codes => codes.firstChild.textContent)"
    )
    assert set(chips) == {code}


def test_the_tree_is_walked_by_mouse_and_by_keyboard(page: Page) -> None:
    """A part is as wide as its share of the items; its name says what colour and width say."""
    parts = page.locator("#icicle a")
    sizes = _sizes(page)
    expect(page.locator('#icicle a[data-depth="1"]')).to_have_count(len(sizes))
    first, last = (parts.and_(page.locator('[data-depth="1"]')).nth(n) for n in (0, -1))
    widths = [part.evaluate("it => it.getBoundingClientRect().width") for part in (first, last)]
    assert widths[0] / widths[1] == pytest.approx(sizes[0] / sizes[-1], rel=0.3)
    code = page.locator("#prefixes .prefix").first.get_attribute("data-prefix")
    expect(first).to_have_accessible_name(re.compile(rf"^{code}: {sizes[0]} items: \w"))
    first.click()
    expect(page.locator("#path")).to_have_text(f"all items – {code}")
    expect(page.locator('#icicle a[data-depth="0"]')).to_have_accessible_name(
        "all items: 600 items"
    )
    # The picture of before stands until the new one is drawn, and would lose the focus with it.
    here = page.locator(f'#icicle a[tabindex="0"][data-prefix="{code}"]')
    expect(here).to_have_count(1)
    expect(page.locator('#icicle a[tabindex="0"]')).to_have_count(1)
    here.focus()
    page.keyboard.press("ArrowDown")
    below = page.locator('#icicle a[data-depth="2"]')
    expect(below.first).to_be_visible()
    expect(page.locator('#icicle a[data-depth="2"]:focus')).to_have_count(1)
    page.keyboard.press("End")
    expect(below.last).to_be_focused()
    deeper = below.last.get_attribute("data-prefix")
    assert deeper
    page.keyboard.press("Enter")
    expect(page.locator("#path")).to_have_text(f"all items – {deeper.replace('-', ' – ')}")
    page.go_back()
    expect(page.locator("#path")).to_have_text(f"all items – {code}")


def _exported(page: Page, name: str, file: Path) -> pl.DataFrame:
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Export the {name} as CSV").click()
    download.value.save_as(file)
    return pl.read_csv(file, infer_schema=False)


def test_what_is_shown_is_exported(page: Page, tmp_path: Path) -> None:
    sizes = _sizes(page)
    prefixes = _exported(page, "prefixes", tmp_path / "prefixes.csv")
    assert prefixes.columns[:3] == ["prefix", "items", "words"]
    assert prefixes["items"].cast(pl.Int64).to_list() == sizes
    rows = _found(page, "coffee")
    results = _exported(page, "results", tmp_path / "results.csv")
    assert results.columns == ["item_id", "title", "semantic_id"]
    assert results["item_id"].to_list() == [row.get_attribute("data-item-id") for row in rows.all()]
    assert results["title"].to_list() == rows.locator(".title").all_inner_texts()
    rows.first.click()
    expect(page.locator("#neighbours .row")).to_have_count(12)
    near = _exported(page, "nearest items", tmp_path / "near.csv")
    assert near.columns == ["item_id", "title", "semantic_id", "cosine", "exact"]
    assert near["cosine"].cast(pl.Float64).is_sorted(descending=True)


def test_a_title_that_looks_like_a_formula_is_exported_as_text(
    page: Page, address: str, tmp_path: Path
) -> None:
    title = '=HYPERLINK("x"), "y"'
    item = {"item_id": "formula", "title": title}
    httpx.post(f"{address}/v1/tokenize", json={"items": [item]}).raise_for_status()
    try:
        _found(page, "HYPERLINK")
        table = _exported(page, "results", tmp_path / "results.csv")
        assert table["title"].to_list() == [f"'{title}"]
    finally:
        httpx.delete(f"{address}/v1/items/formula").raise_for_status()


def test_the_page_fits_screens_of_all_widths(page: Page, address: str) -> None:
    page.goto(f"{address}/#q=coffee&item=D00004&history=D00001")
    expect(page.locator("#recommended .row")).to_have_count(12)
    for width in (1600, 1000, 700, 380):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(WIDER) <= 0, width


def test_the_api_documentation_needs_no_network(page: Page, address: str) -> None:
    page.goto(f"{address}/docs")
    expect(page.get_by_text("/v1/tokenize", exact=True)).to_be_visible()


def test_the_page_asks_for_a_key_where_one_is_needed(browser: Browser, folder: Path) -> None:
    """Nothing is shown without a key; the tab keeps the key, and the log does not contain it."""
    key = run_semid("keys", "add", "page", "--file", folder / "keys.json").strip()
    log = folder / "log-keys"
    with (
        serving(log, *_served(folder), "--keys", folder / "keys.json") as address,
        opened(browser, address) as page,
    ):
        field = page.get_by_label("API key")
        expect(page.locator("#summary")).to_contain_text("needs an API key")
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
