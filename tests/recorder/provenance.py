"""Writes `PROVENANCE.md` of the recordings from the scenarios and from what was recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.recorder.scenario import Run, Scenario, load_scenario

if TYPE_CHECKING:
    from collections.abc import Callable
from pathlib import Path

__all__ = ["write_provenance"]

_HEAD = """\
# Where these recordings come from

Every folder is one or more real runs of Claude Code (`@anthropic-ai/claude-code`), recorded
by `python -m tests.recorder.record [NAME…]`: the real CLI really ran the tools and wrote the
transcripts, only the model's answers came from a script (`tests/recorder/scenarios/<name>.yaml`),
served on loopback by `tests/recorder/standin.py`. Nothing was edited afterwards, with two
exceptions in the files of newer versions: the kernel's version reads 6.1.0, and the CLI's copies
of its own system prompt and tool descriptions are cut ("… (cut by the recorder)").

Layout: `<session>.jsonl` is the transcript, `<session>/subagents/` holds its sub-agents, and
`result.json` (or `result-1.json`, `result-2.json` of a resumed session) is what
`claude -p … --output-format json` printed. The token totals of transcript and `modelUsage`
are equal: the recorder refuses a recording where they are not.

Side requests of the CLI (page summaries for WebFetch, titles) do not stand in the transcript;
the stand-in answers them with zero usage, so that `modelUsage` holds only what a transcript can
know. The dates are those of the recording; message and tool ids derive from the scenario.

`recordings-lossy/` beside this folder holds what versions 2.1.12 to about 2.1.58 wrote: every line
carries the placeholder that opens a streamed message, never its true output tokens. There the
transcript's output is smaller than `modelUsage`, the other three figures are equal.

From some version after 2.1.197 on, `modelUsage` of a resumed run covers the whole session; in the
resumed recordings here it covers that run only, and the results of all runs add up.

Environment of every run: an empty HOME (`/home/dev`), `PATH=/usr/bin:/bin`,
`ANTHROPIC_BASE_URL` on loopback, a dummy key, `CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1`,
`DISABLE_AUTOUPDATER=1`, `IS_SANDBOX=1`.
"""


def write_provenance(
    recordings: Path, scenarios: Path, folder_of: Callable[[Scenario], Path]
) -> None:
    """Describe every recording: version, invocations, what it shows."""
    editions = [
        e for path in sorted(scenarios.glob("*.yaml")) for e in load_scenario(path).editions()
    ]
    recorded = [edition for edition in editions if folder_of(edition).is_dir()]
    sections = [_HEAD, *(_section(edition, folder_of(edition)) for edition in recorded)]
    (recordings / "PROVENANCE.md").write_text("\n".join(sections), encoding="utf-8")


def _section(scenario: Scenario, folder: Path) -> str:
    versions = ", ".join(sorted(_versions(folder)))
    lines = [f"## {scenario.name}", "", scenario.about, ""]
    if scenario.is_lossy:
        lines += [f"In `{folder.parent.name}/`, for the reason given above.", ""]
    lines += [f"Claude Code {versions}:", ""]
    lines += [f"    {_command(run, scenario)}" for run in scenario.runs]
    return "\n".join(lines) + "\n"


def _command(run: Run, scenario: Scenario) -> str:
    words = ["claude", "-p", "--model", scenario.model]
    if run.prompts:
        words += ["--input-format", "stream-json", "--output-format", "stream-json"]
    else:
        words += ["--output-format", "json"]
    words += ["--resume", "SESSION"] if run.resume else []
    words += ["--fork-session"] if run.fork else []
    words += [repr(word) if set(word) & set(' ()*"{') else word for word in run.args]
    words += [f"{key}={value}" for key, value in run.env.items()]
    return " ".join(words)


def _versions(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").split("\n"):
            version = json.loads(line).get("version") if line else None
            if isinstance(version, str):
                found.add(version)
    return found
