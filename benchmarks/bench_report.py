"""How large and how fast the outputs are for 1,000 tests × 20 checks, and the page in a browser.

    python -m benchmarks.bench_report [--browser]

Prints one Markdown table row per output: seconds to render (the best of three) and megabytes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from skilltrace_mlflow.comparison.compare import compare_results
from skilltrace_mlflow.comparison.records import records_of
from skilltrace_mlflow.report import render
from tests.report.evaluations import large

FORMATS = ("table", "json", "jsonl", "junit", "markdown", "html")


def best_of_three(format_name: str, evaluation: object) -> tuple[float, str]:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        text = render(evaluation, format_name)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - start)
    return min(seconds), text


def loading_time(text: str) -> tuple[float, float]:
    """Seconds until headless Chromium has parsed the page, and until it has laid it out."""
    from tests.report.browser import open_browser

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "report.html")
        page.write_text(text, encoding="utf-8")
        browser = open_browser(Path(folder, "profile"))
        try:
            browser.get(page.as_uri())
            parsed, loaded = browser.execute_script(
                "const t = performance.getEntriesByType('navigation')[0];"
                "return [t.domInteractive / 1000, t.loadEventEnd / 1000]"
            )
        finally:
            browser.quit()
    return parsed, loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", action="store_true", help="load the page in Chromium too")
    arguments = parser.parse_args()
    evaluation = large(tests=1_000, checks=20, calls=30)
    print("| output | seconds | MB |\n| --- | --- | --- |")
    for name in FORMATS:
        seconds, text = best_of_three(name, evaluation)
        print(f"| {name} | {seconds:.2f} | {len(text.encode()) / 1e6:.2f} |")
    if arguments.browser:
        parsed, loaded = loading_time(text)
        print(f"\nChromium: parsed after {parsed:.2f} s, loaded after {loaded:.2f} s")
    records = records_of(evaluation)
    start = time.perf_counter()
    compare_results(records, records)
    print(f"\ncompare: {time.perf_counter() - start:.2f} s for 1,000 × 20 against itself")


if __name__ == "__main__":
    main()
