"""The pictures in the documentation: all there, small together, and shown by a page."""

from __future__ import annotations

from tests.docs.screenshots import IMAGES, NAMES, ROOT


def test_the_pictures_are_there_small_and_shown() -> None:
    assert {file.name for file in IMAGES.glob("*.png")} == set(NAMES)
    assert sum(file.stat().st_size for file in IMAGES.iterdir()) < 300_000
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    for name in NAMES:
        assert f"images/{name}" in pages
        assert (IMAGES / name).read_bytes().startswith(b"\x89PNG")
