"""Debian's Chromium, driven by its own driver: what a person would see, asserted."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

__all__ = ["open_browser", "read", "table_cells"]

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


def open_browser(profile: Path, *, dark: bool = False, width: int = 1600) -> webdriver.Chrome:
    """A fresh headless browser; the caller quits it."""
    options = Options()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},1000"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = shutil.which("chromedriver") or "chromedriver"
    browser = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    scheme = "dark" if dark else "light"
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    return browser


def read(browser: webdriver.Chrome, url: str, *awaited: str) -> str:
    """The visible text of a page once all `awaited` are in it."""
    browser.get("about:blank")  # a new fragment alone would not load the page anew
    browser.get(url)

    def text(_: webdriver.Chrome) -> str:
        return browser.find_element(By.TAG_NAME, "body").text

    def complete(chrome: webdriver.Chrome) -> bool:
        shown = text(chrome)
        return all(word in shown for word in awaited)

    WebDriverWait(browser, 120, ignored_exceptions=(Exception,)).until(complete)
    return text(browser)


def table_cells(table: WebElement) -> list[list[str]]:
    """The text of each row's cells, headings included, as a person reads them."""
    return table.parent.execute_script(
        "return [...arguments[0].rows].map(r => [...r.cells].map(c => c.innerText.trim()))", table
    )
