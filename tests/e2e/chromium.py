"""A real headless Chromium, and pages in it that reach no other host."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page

__all__ = ["CHROMIUM", "FLAGS", "SHOP", "opened"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
SHOP = "https://shop.example/"  # the only other host, whose pictures are made here
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>'


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """Open the page; at the end check that nothing failed and no other host was asked."""
    with browser.new_context() as context:
        page = context.new_page()
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
        assert failures == []
