"""MkDocs calls this: the reference of commands and of Python is written when the site is built.

So it cannot be stale, and a change of a help text changes no page in the repository.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mkdocs.structure.files import File, Files

from tests.docs.generate_reference import BUILT

__all__ = ["on_files"]


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the generated pages to the site's files."""
    os.environ["COLUMNS"] = "90"
    for name, page in BUILT.items():
        files.append(File.generated(config, f"reference/{name}", content=page()))
    return files
