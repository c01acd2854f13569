"""Who owns standard output: the result, and nothing else; and where the package's log goes.

MLflow prints to it, imported modules and users' functions do, and a progress bar of rich's puts
itself in its place. Whoever runs such code does so inside `reserved_output`; the command line
writes the result when all of it is over.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from typing import TextIO

__all__ = ["module_logger", "reserved_output"]

_PACKAGE = __name__.partition(".")[0]


def module_logger(name: str) -> logging.Logger:
    """The logger of the module `name` of this package, silent until somebody gives one a handler.

    The package's own gets its `NullHandler` here and not in `__init__.py`: importing `logging`
    costs as much as starting Python, and `--help` logs nothing.
    """
    package = logging.getLogger(_PACKAGE)
    if not package.handlers:
        package.addHandler(logging.NullHandler())
    return logging.getLogger(name)


@contextlib.contextmanager
def reserved_output() -> Iterator[None]:
    """What is printed to standard output inside the block is swallowed.

    Afterwards `sys.stdout` is what it was. Something that was started inside and remembers our
    stand-in (a progress bar that ends later and puts it back) makes nothing mute: the stand-in
    passes everything on by then.
    """
    stand_in = _StandIn(sys.stdout)
    try:
        with contextlib.redirect_stdout(stand_in):
            yield
    finally:
        stand_in.swallows = False


class _StandIn(io.TextIOBase):
    """Swallows what is written while `swallows`, then hands everything to the stream behind it."""

    def __init__(self, behind: TextIO) -> None:
        self.behind = behind
        self.swallows = True

    def write(self, text: str) -> int:
        return len(text) if self.swallows else self.behind.write(text)

    def flush(self) -> None:
        if not self.swallows:
            self.behind.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return not self.swallows and self.behind.isatty()

    def fileno(self) -> int:
        if self.swallows:
            raise io.UnsupportedOperation("standard output is reserved for the result")
        return self.behind.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override] # a plain attribute in typeshed
        return self.behind.encoding or "utf-8"

    @property
    def buffer(self) -> object:
        return io.BytesIO() if self.swallows else self.behind.buffer
