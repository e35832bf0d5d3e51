"""Makes the pictures of the documentation; `make pictures` runs it on a small demo."""

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import (
    Browser,
    FloatRect,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.e2e.chromium import CHROMIUM, FLAGS
from tests.e2e.server import run_semid, serving

__all__ = ["main"]

DOCS = Path(__file__).parent.parent.parent / "docs"
SIZE: ViewportSize = {"width": 1500, "height": 900}
COLOURS = 128  # of a picture's palette; a few tens of kilobytes


def main() -> None:
    """Open the page and the report in a browser, and write their pictures to docs/."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("demo", type=Path, help="folder that semid demo wrote")
    demo: Path = parser.parse_args().demo
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        served = (
            "--tokenizer", demo / "tokenizer", "--ids", demo / "ids.parquet",
            "--catalogue", demo / "items.parquet", "--recommender", demo / "recommender",
            "--cache", demo / "cache", "--database", f"sqlite:///{folder / 'semid.db'}",
        )  # fmt: skip
        with serving(folder / "log", *served) as address:
            _page(browser, address)
        run_semid(
            "report", demo / "tokenizer", "--items", demo / "items.parquet",
            "--ids", demo / "ids.parquet", "--cache", demo / "cache",
            "--out", folder / "report.html",
        )  # fmt: skip
        _report(browser, folder / "report.html")
        browser.close()


def _page(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport=SIZE)
    page.goto(f"{address}/#q=coffee")
    page.locator("#results .row").first.click()
    page.get_by_role("button", name="Add to history").click()
    for part in ("#neighbours .row", "#recommended .row", "#prefixes .prefix"):
        expect(page.locator(part).first).to_be_visible()
    _save(page.screenshot(), "page.png")
    page.goto(f"{address}/#")
    page.locator("#prefixes .prefix").first.click()
    expect(page.locator("#members .row").first).to_be_visible()
    expect(page.locator('#icicle a[data-depth="3"]').first).to_be_visible()
    _save(_shot(page, page.locator("#browse")), "prefixes.png")


def _report(browser: Browser, file: Path) -> None:
    page = browser.new_page(viewport=SIZE)
    page.goto(file.as_uri())
    _save(page.locator(".map svg").screenshot(), "map.png")


def _shot(page: Page, section: Locator) -> bytes:
    box = section.bounding_box()
    assert box is not None
    height = min(box["height"], 760)
    clip: FloatRect = {"x": box["x"], "y": box["y"], "width": box["width"], "height": height}
    return page.screenshot(clip=clip)


def _save(png: bytes, name: str) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS)
    picture.save(DOCS / name, optimize=True)


if __name__ == "__main__":
    main()
