"""The page's search in a real Chromium, over a search model that `semid train-search` trained."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from data_prep.demo import demo_items
from tests.e2e.chromium import CHROMIUM, FLAGS, opened
from tests.e2e.server import run_semid, serving
from tests.e2e.small import fit_and_tokenize

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

SPLITS = ("train", "train", "validation", "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with items, IDs and a search model, whose queries are the categories."""
    folder = tmp_path_factory.mktemp("search")
    items = demo_items(600)
    items.write_parquet(folder / "items.parquet")
    fit_and_tokenize(folder, "tokenizer", "ids.parquet")
    split = [SPLITS[row % len(SPLITS)] for row in range(items.height)]
    queries = items.select(
        "item_id", query=pl.col("categories").list.tail(2).list.join(" "), label=pl.lit(1.0)
    ).with_columns(split=pl.Series(split))
    queries = queries.with_columns(query_id=pl.format("{} {}", "query", "split"))
    queries.write_parquet(folder / "queries.parquet")
    run_semid(
        "train-search", folder / "ids.parquet", "--tokenizer", folder / "tokenizer",
        "--queries", folder / "queries.parquet", "--preset", "smoke", "--set", "epochs=40",
        "--set", "batch_size=32", "--cache", folder / "cache", "--out", folder / "search",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    served = (
        "--tokenizer", folder / "tokenizer", "--ids", folder / "ids.parquet",
        "--catalogue", folder / "items.parquet", "--search", folder / "search",
        "--cache", folder / "cache", "--database", f"sqlite:///{folder / 'semid.db'}",
    )  # fmt: skip
    with serving(folder / "log", *served) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with opened(browser, address) as page:
            yield page
        browser.close()


def _ranked(page: Page) -> list[str]:
    """Return the ids of the shown items, in their order."""
    expect(page.locator("#results .row").first).to_contain_text("score ")
    shown = [row.get_attribute("data-item-id") for row in page.locator("#results .row").all()]
    return [str(item) for item in shown]


def _said(page: Page) -> Locator:
    return page.locator("#results-said")


def test_typed_words_show_the_items_that_answer_them(page: Page, folder: Path) -> None:
    """A history changes their order, and a result leads to its item."""
    paths = pl.read_parquet(folder / "items.parquet").select(
        "item_id", path=pl.col("categories").list.join(" ")
    )
    of_item = dict(paths.iter_rows())
    page.get_by_role("searchbox").fill("coffee makers")
    page.get_by_role("searchbox").press("Enter")
    expect(_said(page)).to_have_text("Ranked by the search model:")
    plain = _ranked(page)
    assert len(plain) == 50
    assert sum(of_item[item].endswith("Coffee Makers") for item in plain[:5]) >= 3
    page.locator("#results .row").nth(1).get_by_role("button").click()
    expect(_said(page)).to_have_text("Ranked by the search model for these words and the history:")
    expect(page.locator("#history .step")).to_have_count(1)
    assert _ranked(page) != plain
    page.get_by_role("searchbox").fill("bedding pillows")
    page.get_by_role("button", name="Search").click()
    row = page.locator("#results .row").first
    expect(row).to_contain_text("Pillow")
    row.click()
    expect(page.locator("#item-id .code").first).to_be_visible()
    expect(page.locator("#neighbours .row").first).to_be_visible()
