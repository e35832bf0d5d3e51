"""The report's page in a real headless Chromium, opened from the file."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.chromium import CHROMIUM, FLAGS
from tests.e2e.server import run_semid
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

HOSTILE = "<script>document.title='taken'</script><img src='http://example.invalid/x.png'>"
EMPTY = """() => [...document.querySelectorAll('svg')].filter(svg => {
    const box = svg.getBoundingClientRect();
    const drawn = svg.getBBox();
    return box.width < 100 || box.height < 100 || drawn.width < 100 || drawn.height < 100;
}).length"""
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory,
    tokenizer_folder: Path,
    pipeline: Pipeline,
    items: pl.DataFrame,
) -> Path:
    """Write the report of items that all have a hostile title."""
    folder = tmp_path_factory.mktemp("report")
    tokenize_catalogue(items, pipeline).write_parquet(folder / "ids.parquet")
    items.with_columns(title=pl.lit(HOSTILE)).write_parquet(folder / "items.parquet")
    run_semid("report", tokenizer_folder, "--items", folder / "items.parquet",
              "--ids", folder / "ids.parquet", "--out", folder / "report.html")  # fmt: skip
    return folder / "report.html"


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, written: Path) -> Iterator[Page]:
    """Open the page; at the end check that nothing failed and only the file was requested."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(color_scheme=request.param)
        failures: list[str] = []
        asked: list[str] = []
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda said: failures.append(said.text))
        page.on("request", lambda made: asked.append(made.url))
        page.goto(written.as_uri())
        assert asked == [written.as_uri()]
        yield page
        browser.close()
        assert failures == []
        assert [url for url in asked[1:] if not url.startswith("data:")] == []


def test_the_pictures_render_and_titles_stay_text(page: Page) -> None:
    expect(page).to_have_title("Tokenizer report")
    assert page.locator("svg").count() == 7
    assert page.evaluate(EMPTY) == 0
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    expect(page.locator(".family .items li").first).to_have_text(HOSTILE)


def test_the_page_fits_narrow_screens(page: Page) -> None:
    for width in (1280, 700, 380):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(WIDER) <= 0, width


def test_ink_follows_the_colour_scheme(page: Page) -> None:
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    fill = page.locator("svg text").first.evaluate("text => getComputedStyle(text).fill")
    brightness = sum(int(part) for part in fill[4:-1].split(",")) / 3
    assert (brightness > 128) is dark


def test_the_map_is_searched_and_names_what_is_under_the_mouse(page: Page) -> None:
    dots = page.locator(".map circle")
    assert dots.count() == 600
    first = dots.first
    first.dispatch_event("mouseenter")
    expect(page.locator("#tip")).to_contain_text(HOSTILE)
    name = page.locator("#tip").inner_text()
    code = name.rpartition("· ")[2]
    page.get_by_label("search the items").fill(code)
    expect(page.locator("#found li").first).to_contain_text(code)
    marked = page.locator(".map circle.on")
    assert 1 <= marked.count() < 600
    assert page.locator(".map circle.off").count() == 600 - marked.count()
    page.get_by_label("search the items").fill("")
    assert page.locator(".map circle.off").count() == 0


def test_families_open_to_the_prefixes_below(page: Page) -> None:
    family = page.locator("details.family").first
    expect(family.locator("div").first).to_be_hidden()
    family.locator("summary").click()
    expect(family.locator("div").first).to_be_visible()
    expect(family.locator("summary")).to_contain_text("items")
    page.get_by_label("search the items").fill("no family has this")
    expect(family).to_be_hidden()
