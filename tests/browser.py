"""Headless Chromium for tests of pages: it reaches nothing but this machine, and every request of a page is on record."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def open_page(width: int = 1280, height: int = 900) -> Iterator:
    """An empty page of Playwright's in Debian's Chromium.

    `page.requests` lists the address of everything that it asked for, `page.problems` its errors and those of its console.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM_FLAGS))
        page = browser.new_page(viewport={"width": width, "height": height})
        page.requests, page.problems = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
        try:
            yield page
        finally:
            browser.close()


def outside(requests: list[str]) -> list[str]:
    """The addresses among them that are neither in the page itself nor on this machine."""
    inside = ("data:", "blob:", "file:", "about:", "http://127.0.0.1", "http://localhost", "ws://127.0.0.1", "ws://localhost")
    return [address for address in requests if not address.startswith(inside)]
