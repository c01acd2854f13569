"""The pictures of `docs/images`, made from the examples in headless Chromium.

    python -m tests.docs.screenshots

Report, `show` and a notebook's cell, each a PNG of 64 colours, so that all together stay small.
"""

from __future__ import annotations

import io
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from selenium.webdriver import Chrome

from skilltrace_mlflow import trace_eval
from skilltrace_mlflow.report import timeline_text, to_html
from skilltrace_mlflow.results import Evaluation
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.report.browser import open_browser
from tests.report.evaluations import recordings

__all__ = ["IMAGES", "NAMES", "main"]

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
NAMES = ("report.png", "show.png", "notebook.png")
_SKILL = ROOT / "examples" / "skills" / "bronze-ingestion"
_NOW = datetime(2026, 3, 1, 9, 0, tzinfo=timezone.utc)
_STYLE = (
    "body{margin:1.2rem;font:15px system-ui,'DejaVu Sans',sans-serif}"
    "pre{font:13px/1.35 'DejaVu Sans Mono',monospace;margin:0}"
    "table{border-collapse:collapse;margin:.6rem 0;font-size:13px}"
    "caption{text-align:left;font-weight:600}"
    "td,th{padding:.2rem .5rem;border:1px solid #ddd;text-align:left}"
)


def main() -> None:
    """Write all three."""
    IMAGES.mkdir(exist_ok=True)
    pages = _pages()
    with tempfile.TemporaryDirectory() as folder:
        browser = open_browser(Path(folder) / "profile", width=1200)
        try:
            for name, (text, height) in pages.items():
                page = Path(folder) / "page.html"
                page.write_text(text, encoding="utf-8")
                (IMAGES / name).write_bytes(_picture(browser, page, height))
        finally:
            browser.quit()


def _pages() -> dict[str, tuple[str, int]]:
    evaluation = _evaluation()
    (wrong,) = (recordings() / "demo-failing").glob("*.jsonl")
    session = parse_transcript(wrong)
    shown = _terminal(timeline_text(session, name="demo-failing", width=110, color=True))
    return {
        "report.png": (to_html(evaluation, now=_NOW), 900),
        "show.png": (_page(shown), 640),
        "notebook.png": (_page(evaluation._repr_html_()), 620),
    }


def _evaluation() -> Evaluation:
    return trace_eval(_SKILL, sorted((_SKILL / "traces").glob("*.jsonl")))


def _terminal(text: str) -> str:
    """What a terminal shows, as HTML."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=110, file=io.StringIO())
    console.print(Text.from_ansi(text))
    return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


def _page(body: str) -> str:
    return f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style>{body}"


def _picture(browser: Chrome, page: Path, height: int) -> bytes:
    from PIL import Image

    metrics = {"width": 1200, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    small = io.BytesIO()
    picture.quantize(64, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    main()
