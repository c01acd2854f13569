"""Debian's Chromium, driven by its own driver: what a person would see, asserted."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement

__all__ = ["open_browser", "table_cells"]

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


def table_cells(table: WebElement) -> list[list[str]]:
    """The text of each row's cells, headings included, as a person reads them."""
    return table.parent.execute_script(
        "return [...arguments[0].rows].map(r => [...r.cells].map(c => c.innerText.trim()))", table
    )
