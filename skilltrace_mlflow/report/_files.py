"""Writing a result to a file: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from skilltrace_mlflow.errors import SkillTraceError

__all__ = ["write_atomic"]

_DEFAULT_MODE = 0o666


def write_atomic(path: str | os.PathLike[str], text: str | bytes) -> None:
    """Write `text` to `path`, a string in UTF-8, and create its folder; a reader sees the old file
    or the new one.

    The text goes to a temporary name beside the target first, so that a full disk or a crash leaves
    no half result behind. A device or a pipe is written to directly. Raises SkillTraceError.
    """
    target = Path(os.path.realpath(Path(path).expanduser()))  # a link stays, its target changes
    data = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    try:
        if target.exists() and not target.is_file():
            if target.is_dir():
                raise SkillTraceError(f"{path}: is a folder; name a file in it")
            target.write_bytes(data)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else _DEFAULT_MODE & ~_umask()
        _replace(target, data, mode)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SkillTraceError(f"{path}: cannot be written: {reason}; name another file") from error


def _replace(target: Path, data: bytes, mode: int) -> None:
    # Not named after the target: its name may fill the file system's limit already.
    handle, name = tempfile.mkstemp(prefix=".skilltrace-", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        os.replace(name, target)  # noqa: PTH105 - Path.replace is the same call
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
