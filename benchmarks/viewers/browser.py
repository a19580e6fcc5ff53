"""Opens a page of this machine in Chromium without a window. It takes `pip install playwright` and a Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

# drawn by the CPU; no other machine is asked for anything
_OPTIONS = (
    *("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_MOST_SECONDS = 240


@contextmanager
def opened(address: str, chromium: str) -> Iterator[Page]:
    """Context manager with a page that is opened.

    Args:
        address: address of the page, on this machine.
        chromium: path of the browser.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_OPTIONS))
        page = browser.new_page(viewport={"width": 1280, "height": 760})
        page.set_default_timeout(1000 * _MOST_SECONDS)
        page.goto(address, wait_until="commit")
        yield page
        browser.close()
