"""A session's copy in a skill's `traces/`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from skilltrace_mlflow.errors import ConfigurationError, InputError
from skilltrace_mlflow.report import session_text, write_atomic
from skilltrace_mlflow.report.dump import safe_name
from skilltrace_mlflow.sources.load import Evidence, load_file
from skilltrace_mlflow.sources.transcript.subagents import files_of_agents, session_stem

__all__ = ["copied"]


@contextlib.contextmanager
def copied(evidence: Evidence, folder: Path, *, test_id: str, whole: bool) -> Iterator[Path]:
    """The path of a copy of the session in `folder`; what was written for it is removed again
    where the block raises.

    A file is copied as it is, its sub-agents' files with it, if `whole` and if it reads the same
    there; else the session is written as one JSON document. A file that lies beside the folder
    already stays where it is. Raises ConfigurationError where another session's file is in the way.
    """
    source = _file_of(evidence)
    if whole and source is not None and source.resolve().is_relative_to(folder.resolve().parent):
        yield source.resolve()
        return
    written: list[Path] = []
    try:
        path = _as_it_is(evidence, source, folder, test_id, written) if whole and source else None
        yield path or _as_document(evidence, folder, test_id, written)
    except BaseException:
        _remove(written, folder)
        raise


def _file_of(evidence: Evidence) -> Path | None:
    path = Path(evidence.source)
    return path if evidence.source != "-" and path.is_file() else None


def _as_it_is(
    evidence: Evidence, source: Path, folder: Path, test_id: str, written: list[Path]
) -> Path | None:
    """A copy of the files, None where they would not be the same session in this folder."""
    target = folder / source.name  # a session's id is taken from its file's name
    files = {source: target}
    for file in files_of_agents(source, evidence.session):
        files[file] = folder / file.relative_to(source.parent)
    try:
        contents = {place: file.read_bytes() for file, place in files.items()}
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror or error}") from None
    if any(place.exists() and place.read_bytes() != data for place, data in contents.items()):
        return None
    for place, data in contents.items():
        if not place.exists():
            write_atomic(place, data)
            written.append(place)
    with contextlib.suppress(InputError):
        if load_file(target).session == evidence.session:
            return target
    _remove(written, folder)
    return None


def _as_document(evidence: Evidence, folder: Path, test_id: str, written: list[Path]) -> Path:
    text = session_text(evidence.session, whole=evidence.whole_session, trace_id=evidence.trace_id)
    source = _file_of(evidence)
    names = [evidence.trace_id, evidence.session.session_id]
    name = session_stem(source) if source else next((n for n in names if n), test_id)
    for stem in dict.fromkeys((safe_name(name), safe_name(test_id))):
        path = folder / f"{stem}.json"
        if not path.exists():
            write_atomic(path, text)
            written.append(path)
            return path
        if path.read_text(encoding="utf-8", errors="replace") == text:
            return path
    raise ConfigurationError(f"{path}: is another session's; move it, or give another --test-id")


def _remove(written: list[Path], folder: Path) -> None:
    """Take back what was written, and the folders that were made for it."""
    for path in written:
        path.unlink(missing_ok=True)
        for above in path.parents:
            if not above.is_relative_to(folder):
                break
            with contextlib.suppress(OSError):  # others' files are in it
                above.rmdir()
    written.clear()
