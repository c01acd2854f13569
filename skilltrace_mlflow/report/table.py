"""The table for the terminal: what broke first, test by test, then the rest, then where to look.

What did not pass is shown test by test, the worst first, a line per check (`groups`). Only `Text`
objects are printed, never markup, so that `[red]` in a test id is shown as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skilltrace_mlflow.arms import Arms, compare_arms
from skilltrace_mlflow.attempts import AttemptStats
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.report._attempts import (
    ARMS_HEAD,
    HEAD,
    arms_lines,
    arms_rows,
    attempts_of,
    attempts_rows,
    attempts_summary,
    triggering_summary,
)
from skilltrace_mlflow.report._words import (
    WHOLE_TEST,
    WORST_FIRST,
    labels,
    missed,
    problems,
    what_happened,
)
from skilltrace_mlflow.report.terminal.lines import (
    cells,
    grid,
    hanging,
    print_parts,
    printed,
    terminal_width,
)
from skilltrace_mlflow.results import EXIT_OK, Evaluation, GateResult, TestResult
from skilltrace_mlflow.text import counted, one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "LONGEST",
    "STYLES",
    "Group",
    "group_lines",
    "groups",
    "headline",
    "name_of",
    "render_table",
    "table_text",
]

_MOST_LINES = 200
_MOST_PASSED = 30
_LONGEST_ID = 400
_GATE_HEAD = ("gate", "required", "got", "judged", "", "")
STYLES = {"pass": "green", "fail": "bold red", "error": "bold magenta", "unknown": "bold yellow"}
LONGEST = 280  # four lines of a usual terminal; the rest is one format away
_WIDEST_NAME = 34
_DID = {Verdict.FAIL: "failed", Verdict.ERROR: "in error", Verdict.UNKNOWN: "not judged"}


def table_text(
    evaluation: Evaluation,
    *,
    width: int | None = None,
    color: bool = False,
    report: Path | None = None,
) -> str:
    """The table as a string; `width` is the terminal's unless given, `report` the HTML report that
    the last lines name.
    """
    columns = width or terminal_width()
    return printed(_parts(evaluation, columns, report), width=columns, color=color)


def render_table(evaluation: Evaluation, console: Console) -> None:
    """Print the evaluation: problems, passes, gates, notes, one line that sums up, and where to
    look.
    """
    print_parts(console, _parts(evaluation, console.width, None))


def headline(evaluation: Evaluation) -> str:
    """The summary line: verdict, counts of tests and checks, gates."""
    tests = Counter(str(result.verdict) for result in evaluation.results)
    checks = Counter(str(o.verdict) for result in evaluation.results for o in result.judged)
    word = {0: "PASSED", 1: "FAILED", 2: "UNREADABLE INPUT"}.get(
        evaluation.exit_code, "NOT FULLY JUDGED"
    )
    allowed = _allowed_by(evaluation)
    if allowed:  # a failed check beside PASSED is only right with the gate that allowed it
        word += f" (what failed is within {allowed})"
    parts = [
        f"{word}  {one_line(evaluation.skill, 60)}",
        f"{counted(len(evaluation.results), 'test')}: {_counts(tests)}",
        f"{counted(sum(checks.values()), 'check')}: {_counts(checks)}",
    ]
    if evaluation.gates:
        failed = sum(1 for gate in evaluation.gates if not gate.passed)
        parts.append(f"{counted(len(evaluation.gates), 'gate')}: {failed} failed")
    return " · ".join(parts)


def _allowed_by(evaluation: Evaluation) -> str:
    """The gates that allowed what did not pass, where the whole passed all the same."""
    if evaluation.exit_code != EXIT_OK:
        return ""
    missed = {outcome.check for _, outcome in problems(evaluation)}
    gates = [gate for gate in evaluation.gates if missed.intersection(gate.checks)]
    return ", ".join(f"gate {one_line(g.name, 60)}: {g.shown} of {g.required:g}" for g in gates)


def _parts(evaluation: Evaluation, width: int, report: Path | None) -> Iterable[Text]:
    from rich.text import Text

    names = labels(evaluation.results, limit=_LONGEST_ID)
    found = groups(evaluation)
    yield from _problems(evaluation, found, names, width)
    yield from _passes(evaluation, names, width)
    stats = attempts_of(evaluation)
    if stats is not None:
        yield from _attempts(stats, width)
    triggering = triggering_summary(evaluation)
    if triggering is not None:
        yield hanging([], triggering, width)
        yield Text()
    arms = compare_arms(evaluation)
    if arms is not None:
        yield from _arms(arms, width)
    if evaluation.gates:
        yield from _gates(evaluation.gates, width)
        yield Text()
    for text in evaluation.incomplete:
        yield hanging([("lost: ", STYLES["unknown"])], one_line(text, 400), width, indent=2)
    notes = [*evaluation.notes, *_notes(evaluation, found, names)]
    for text in notes[:_MOST_PASSED]:
        yield hanging([("note: ", "dim")], one_line(text, 600), width, style="dim", indent=2)
    if len(notes) > _MOST_PASSED:
        yield Text(f"… and {counted(len(notes) - _MOST_PASSED, 'more note')}", style="dim")
    if evaluation.run_id:
        yield _unbroken(f"MLflow run {one_line(evaluation.run_id)}", "dim")
    style = {0: "bold green", 1: "bold red", 2: "bold red"}.get(evaluation.exit_code, "bold yellow")
    yield hanging([], headline(evaluation), width, style=style)
    from skilltrace_mlflow.report._summary import where_to_look

    for number, place in enumerate(where_to_look(evaluation, report)):
        yield _unbroken(f"{'      ' if number else 'look: '}{place}")


def _notes(evaluation: Evaluation, told: Sequence[Group], names: dict[int, str]) -> Iterable[str]:
    """What there is to know of each test, once for all attempts that share it, and not again where
    its group has said it.
    """
    said = {(result.test_id, group.told_by_note) for group in told for result in group.results}
    found: dict[tuple[str, str], list[TestResult]] = {}
    for result in evaluation.results:
        for text in result.notes:
            if (result.test_id, one_line(text, LONGEST)) not in said:
                found.setdefault((result.test_id, text), []).append(result)
    return (f"{name_of(results, names)}: {text}" for (_, text), results in found.items())


def _unbroken(text: str, style: str = "") -> Text:
    """A line that is there to be copied, however wide."""
    from rich.text import Text

    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _problems(
    evaluation: Evaluation, found: Sequence[Group], names: dict[int, str], width: int
) -> Iterable[Text]:
    from rich.text import Text

    used = 0
    for number, group in enumerate(found):
        if used >= _MOST_LINES:
            yield from _rest(evaluation, len(found) - number, width)
            break
        for line in group_lines(group, names, width):
            used += 1
            yield line
    if found:
        yield Text()


def _rest(evaluation: Evaluation, count: int, width: int) -> Iterable[Text]:
    """The tests that are too many to be told one by one: why most of them did not pass."""
    from rich.text import Text

    from skilltrace_mlflow.report._words import top_reasons

    yield Text(f"… and {counted(count, 'more test')}; --format jsonl or --report shows them all")
    for reason in top_reasons(evaluation):
        yield hanging([("most: ", "dim")], reason, width, indent=2)


def _passes(evaluation: Evaluation, names: dict[int, str], width: int) -> Iterable[Text]:
    from rich.text import Text

    passed = [result for result in evaluation.results if result.verdict is Verdict.PASS]
    for result in passed[:_MOST_PASSED]:
        checks = one_line(", ".join(outcome.check for outcome in result.judged), 600)
        head = [("pass  ", STYLES["pass"]), (f"{names[id(result)]}: ", "")]
        yield hanging(head, checks, width, style="dim", indent=6)
    if len(passed) > _MOST_PASSED:
        yield Text(f"… and {counted(len(passed) - _MOST_PASSED, 'more test')} passed", style="dim")
    if passed:
        yield Text()


def _arms(arms: Arms, width: int) -> Iterable[Text]:
    from rich.text import Text

    rows = [(one_line(name, 80), *figures) for name, *figures in arms_rows(arms)]
    yield from grid(ARMS_HEAD, rows, width, numbers=range(1, len(ARMS_HEAD)))
    for line in arms_lines(arms):
        yield hanging([], line, width)
    yield Text()


def _attempts(stats: AttemptStats, width: int) -> Iterable[Text]:
    from rich.text import Text

    rows = attempts_rows(stats)
    shown = [(one_line(name, _LONGEST_ID), *figures) for name, *figures in rows[:_MOST_PASSED]]
    yield from grid(HEAD, shown, width)
    if len(rows) > _MOST_PASSED:
        more = counted(len(rows) - _MOST_PASSED, "more test case")
        yield Text(f"… and {more}", style="dim")
    yield hanging([], attempts_summary(stats), width)
    yield Text()


def _gates(gates: Sequence[GateResult], width: int) -> Iterable[Text]:
    ordered = sorted(gates, key=lambda gate: gate.passed)
    rows = [
        (
            one_line(gate.name, 200),
            f"{gate.required:g}",
            gate.shown,
            gate.shown_coverage,
            "pass" if gate.passed else "FAIL",
            one_line(gate.reason, 300),
        )
        for gate in ordered
    ]
    styles = ["" if gate.passed else STYLES["fail"] for gate in ordered]
    return grid(_GATE_HEAD, rows, width, numbers=(1, 2, 3), styles=styles)


def _counts(counter: Counter[str]) -> str:
    words = (("fail", "failed"), ("error", "in error"), ("unknown", "unknown"), ("pass", "passed"))
    return ", ".join(f"{counter[key]:,} {word}" for key, word in words if counter[key]) or "none"


@dataclass(frozen=True, kw_only=True)
class Group:
    """A test that did not pass: `results` are several only where attempts lack the same thing."""

    results: tuple[TestResult, ...]
    missed: tuple[Outcome, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of what it missed."""
        return self.missed[0].verdict

    @property
    def passed(self) -> tuple[str, ...]:
        """The checks that it passed all the same."""
        return tuple(o.check for o in self.results[0].judged if o.verdict is Verdict.PASS)

    @property
    def one_reason(self) -> str | None:
        """Why nothing of it could be judged, where that is the same for all its checks."""
        reasons = {what_happened(outcome, LONGEST) for outcome in self.missed}
        alone = len(self.missed) > 1 or not self.missed[0].check
        told = self.verdict is not Verdict.FAIL and alone and not self.passed
        return reasons.pop() if told and len(reasons) == 1 else None

    @property
    def told_by_note(self) -> str | None:
        """The note that begins with the one reason and says more of it."""
        reason = self.one_reason
        if reason is None:
            return None
        told = (one_line(note, LONGEST) for note in self.results[0].notes)
        return next((note for note in told if note.startswith(reason)), None)


def groups(evaluation: Evaluation) -> list[Group]:
    """The tests that did not pass, failures before errors before unknowns, else in order."""
    found: dict[object, Group] = {}
    for result in evaluation.results:
        outcomes = tuple(missed(result))
        if not outcomes:
            continue
        key: object = id(result)
        group = Group(results=(result,), missed=outcomes)
        if group.one_reason is not None:
            key = (result.test_id, group.one_reason, group.verdict, len(outcomes))
        older = found.get(key)
        if older is not None:
            group = Group(results=(*older.results, result), missed=older.missed)
        found[key] = group
    return sorted(found.values(), key=lambda group: WORST_FIRST[group.verdict])


def group_lines(group: Group, names: dict[int, str], width: int) -> list[Text]:
    """A test's name, then each check that it missed, then those that it passed."""
    shown = str(group.verdict).upper()
    head = [(f"{shown}  ", STYLES[str(group.verdict)]), (name_of(group.results, names), "bold")]
    if group.one_reason is not None:
        count = sum(1 for outcome in group.missed if outcome.check)
        more = f" ({counted(count, 'check')} not judged)" if count else ""
        reason = group.told_by_note or group.one_reason
        return [hanging([*head, (": ", "")], reason + more, width, indent=4)]
    return [
        hanging([*head, ("  ", "")], _tally(group), width, style="dim", indent=4),
        *_checks(group, width),
    ]


def _tally(group: Group) -> str:
    counts = Counter(outcome.verdict for outcome in group.missed if outcome.check)
    of_all = f" of {counted(counts.total() + len(group.passed), 'check')}"
    said: list[str] = []
    for verdict, count in counts.items():
        said.append(f"{count:,}{'' if said else of_all} {_DID[verdict]}")
    return ", ".join(said)


def _checks(group: Group, width: int) -> Iterable[Text]:
    rows = [(o, one_line(o.check, 200) or WHOLE_TEST) for o in group.missed]
    verdicts = max(cells(str(outcome.verdict)) for outcome, _ in rows)
    fitting = [cells(name) for _, name in rows if cells(name) <= _WIDEST_NAME]
    column = max(fitting, default=0)
    for outcome, name in rows:
        verdict = str(outcome.verdict)
        head = [
            ("  " + verdict.upper().ljust(verdicts) + "  ", STYLES[verdict]),
            (name + " " * (column - cells(name)) + "  ", "bold"),
        ]
        text = what_happened(outcome, LONGEST)
        yield hanging(head, text, width, indent=verdicts + 4, column=True)
    if group.passed:
        head = [("  " + "pass".ljust(verdicts) + "  ", STYLES["pass"])]
        text = one_line(", ".join(group.passed), 600)
        yield hanging(head, text, width, style="dim", indent=verdicts + 4)


def name_of(results: Sequence[TestResult], names: dict[int, str]) -> str:
    """The test's name; of several attempts all their numbers."""
    first, *others = results
    return ", ".join([names[id(first)], *(f"#{result.attempt}" for result in others)])
