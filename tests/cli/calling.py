"""The type of `call`, the fixture that runs the command line in this process."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Call"]

Call = Callable[..., tuple[int, str, str]]
