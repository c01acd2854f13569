"""A recorded session → a test case of a skill: the session into `traces/`, the case into the ground
truth.

`copied` is the session's copy in a skill's `traces/`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from skilltrace_mlflow.checks import Verdict
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError, InputError
from skilltrace_mlflow.expectations import Manifest, TestCase, load_ground_truth, load_manifest
from skilltrace_mlflow.expectations.ground_truth import EXAMPLE_PROMPT
from skilltrace_mlflow.proposals import yaml_files
from skilltrace_mlflow.proposals._propose import Proposal, case_of, case_text, propose
from skilltrace_mlflow.report import session_text, write_atomic
from skilltrace_mlflow.report.dump import safe_name
from skilltrace_mlflow.score import Target
from skilltrace_mlflow.sources.load import Evidence, load_file
from skilltrace_mlflow.sources.session_json import session_to_json
from skilltrace_mlflow.sources.transcript.subagents import files_of_agents, session_stem

__all__ = ["Appended", "append_case", "copied"]

_TRACE_KEYS = ("session_id", "trace_id", "trace_run_id")


@dataclass(frozen=True, kw_only=True)
class Appended:
    """A test case that was added: its id, the ground truth it stands in, its text there, the file
    of its session, and what it was made from.

    `replaced` is the id of the case in whose place it stands, `redacted` counts secrets by kind,
    `failing` are the checks that the session does not pass together with what the manifest expects.
    """

    id: str
    path: Path
    text: str
    trace: Path
    proposal: Proposal
    replaced: str | None = None
    redacted: Mapping[str, int] = field(default_factory=dict)
    failing: tuple[str, ...] = ()


def append_case(
    manifest: Manifest,
    evidence: Sequence[Evidence],
    *,
    test_id: str | None = None,
    redact: bool = False,
    replacing: bool = False,
) -> Appended:
    """Add a test case with proposed expectations to the skill's ground truth.

    `evidence` are recorded sessions of one test case; the first one is copied into the skill's
    `traces/` and judged from there, the others only show what may differ. With `redact` their
    secrets are replaced before anything is proposed or written. `replacing` writes the case of the
    same session, or of the same id, anew. Raises ConfigurationError where there is such a case
    already, EvaluationError where nothing can be proposed.
    """
    folder = manifest.folder
    if folder is None or not folder.is_dir():
        raise ConfigurationError(f"{manifest.name}: has no folder to add a test case to")
    found: Mapping[str, int] = {}
    if redact:
        from skilltrace_mlflow.importing.redaction import Redactor

        redactor = Redactor()
        evidence = [replace(item, session=redactor.session(item.session)) for item in evidence]
        found = dict(redactor.found)
    proposal = propose([item.session for item in evidence])
    if not proposal.expectations:
        raise EvaluationError(proposal.nothing)
    first, path = evidence[0], manifest.ground_truth
    with yaml_files.locked_folder(folder):
        cases = load_ground_truth(path, manifest=manifest) if path.is_file() else ()
        place = _place(path, cases, evidence, test_id, replacing=replacing)
        name = test_id or (place.id if place and not _is_example(place) else _free_id(cases))
        with copied(first, folder / "traces", test_id=name, whole=not redact) as trace:
            prompt = next(iter(first.session.prompts), None)
            old = {} if place is None or _is_example(place) else _raw(path, cases.index(place))
            case = case_of(
                proposal,
                test_id=name,
                prompt=prompt,
                trace_ref=Path(os.path.relpath(trace, path.resolve().parent)).as_posix(),
                metadata={**_kept(old.get("metadata")), **_link(first)},
            )
            case = {**case, **{key: value for key, value in old.items() if key not in case}}
            text = case_text(case, proposal)
            if place is None:
                yaml_files.append_item(path, "test_cases", case, text=text)
            else:
                index = cases.index(place)
                yaml_files.replace_item(path, "test_cases", index, case, text=text)
    return Appended(
        id=name,
        path=path,
        text=text,
        trace=trace,
        proposal=proposal,
        replaced=None if place is None else place.id,
        redacted=found,
        failing=_failing(manifest, name, trace),
    )


def _place(
    path: Path,
    cases: Sequence[TestCase],
    evidence: Sequence[Evidence],
    test_id: str | None,
    *,
    replacing: bool,
) -> TestCase | None:
    """The case that is written anew, None for a new one."""
    wanted = {identity for item in evidence for identity in _identities(item)}
    same = [case for case in cases if wanted & _identities_of(case)]
    named = next((case for case in cases if case.id == test_id), None)
    if same and not replacing:
        raise ConfigurationError(
            f"{path}:{same[0].line}: test case {same[0].id!r} is of this session already; "
            "--replace writes it anew"
        )
    if named is not None and not replacing and not _is_example(named):
        raise ConfigurationError(
            f"{path}:{named.line}: there is a test case {test_id!r} already, of another session; "
            "give another --test-id, or --replace to write it anew"
        )
    others = [case for case in same if named is not None and case is not named]
    if others:
        raise ConfigurationError(
            f"{path}:{others[0].line}: test case {others[0].id!r} is of this session already; "
            f"leave out --test-id {test_id} to write it anew"
        )
    if same or named is not None:
        return named or same[0]
    return next((case for case in cases if _is_example(case)), None)


def _is_example(case: TestCase) -> bool:
    """Whether it is the example that `init` wrote, which nobody has filled in."""
    return case.prompt == EXAMPLE_PROMPT and case.trace_ref is None


def _free_id(cases: Sequence[TestCase]) -> str:
    taken = {case.id for case in cases}
    number = 1
    while f"recorded_{number:03d}" in taken:
        number += 1
    return f"recorded_{number:03d}"


def _link(evidence: Evidence) -> dict[str, str]:
    """What the case's metadata say of where the session came from."""
    if evidence.whole_session:
        session_id = evidence.session.session_id
        return {} if session_id is None else {"session_id": session_id}
    return {} if evidence.trace_id is None else {"trace_id": evidence.trace_id}


def _identities(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """By what the session is known again: one turn by its trace, a session by its id, and what has
    neither by its content.
    """
    link = _link(evidence)
    yield from link.items()
    if not link:
        text = json.dumps({**session_to_json(evidence.session), "source": ""}, sort_keys=True)
        yield "content", hashlib.sha256(text.encode()).hexdigest()


def _identities_of(case: TestCase) -> set[tuple[str, str]]:
    """The same of a test case, by its metadata and the file that it names."""
    said = {"session_id": case.session_id, "trace_id": case.trace_id}
    found = {(key, value) for key, value in said.items() if value is not None}
    if case.trace_ref is not None and not found:
        with contextlib.suppress(InputError):  # a file that is missing tells nothing
            found.update(_identities(load_file(case.trace_ref)))
    return found


def _raw(path: Path, index: int) -> dict[str, Any]:
    import yaml

    case: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["test_cases"][index]
    return case


def _kept(metadata: Any) -> dict[str, Any]:
    """A case's metadata, save those that name another trace."""
    values = metadata if isinstance(metadata, Mapping) else {}
    return {key: value for key, value in values.items() if key not in _TRACE_KEYS}


def _failing(manifest: Manifest, test_id: str, trace: Path) -> tuple[str, ...]:
    """What does not hold of the session, judged as `trace-eval` will judge it."""
    anew = load_manifest(manifest.path or manifest.folder or manifest.name)
    result = Target.of(anew, test_id).judge(load_file(trace))
    return tuple(
        f"{outcome.check}: {outcome.verdict}: {outcome.rationale}"
        for outcome in result.judged
        if outcome.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)
    )


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
