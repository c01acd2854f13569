"""Recorded sessions as an agent: no binary, no cost; for demonstrations and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from skilltrace_mlflow.agent.protocol import End, Run, Task
from skilltrace_mlflow.errors import SkillTraceError
from skilltrace_mlflow.metrics import compute_metrics
from skilltrace_mlflow.sources.locate import find_sessions
from skilltrace_mlflow.sources.transcript.reader import parse_transcript

__all__ = ["ReplayAgent"]

_WITHOUT = "without"
_ENDS: dict[str, End] = {
    "budget_limit": "budget_limit",
    "cut_off": "model_error",
    "interrupted": "killed",
    "turn_limit": "turn_limit",
}


class ReplayAgent:
    """Answers a task with a session that was recorded for it.

    `by_test` names the recordings of test cases; for others the sessions in `folder` with an equal
    first prompt are taken, those below `without/` for the arm without the skill. Attempt after
    attempt takes the next one, then the first again. Each replay is a session of its own: it gets
    the task's session id.
    """

    name = "replay"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        by_test: Mapping[str, Sequence[Path]] | None = None,
    ) -> None:
        self.by_test = {name: list(paths) for name, paths in (by_test or {}).items()}
        self._by_prompt: dict[tuple[str, str], list[Path]] = {}
        for path in find_sessions(folder) if folder is not None and folder.is_dir() else ():
            try:
                prompts = parse_transcript(path).prompts
            except SkillTraceError:
                continue  # a file that is none of ours answers no prompt
            arm = _WITHOUT if _WITHOUT in path.relative_to(folder or path).parts[:-1] else "with"
            if prompts:
                self._by_prompt.setdefault((arm, _normal(prompts[0])), []).append(path)

    def run(self, task: Task) -> Run:
        """The recording as this task's session."""
        found = self._by_prompt.get((task.arm, _normal(task.prompt)), [])
        if task.arm != _WITHOUT:
            found = self.by_test.get(task.test_id) or found
        if not found:
            return Run(
                end="setup_failed",
                reason=f"no session was recorded for this prompt ({task.arm} the skill)",
            )
        source = found[(task.attempt - 1) % len(found)]
        try:
            transcript = _copy(source, task)
            session = parse_transcript(transcript)
        except (SkillTraceError, OSError) as error:
            return Run(end="setup_failed", reason=f"{source}: {error}")
        metrics = compute_metrics(session)
        return Run(
            end=_ENDS.get(session.ending.kind, "finished"),
            reason=session.ending.text if session.ending.kind in _ENDS else "",
            response=session.response,
            session=session,
            transcript=transcript,
            cost_usd=0.0,
            duration_seconds=metrics.duration_seconds,
            notes=(f"replayed {source.name}",),
        )


def _copy(source: Path, task: Task) -> Path:
    old = parse_transcript(source).session_id or ""
    target = task.record / "session.jsonl"
    pairs = [(source, target)]
    for beside in (source.with_suffix(""), source.parent / old):
        if old and beside.is_dir():
            pairs += [
                (path, target.with_suffix("") / path.relative_to(beside))
                for path in sorted(beside.rglob("*"))
                if path.is_file()
            ]
            break
    for path, copy in pairs:
        copy.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        copy.write_bytes(data.replace(old.encode(), task.session_id.encode()) if old else data)
    return target


def _normal(text: str) -> str:
    return " ".join(text.split())
