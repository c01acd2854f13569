"""The table for the terminal: what broke first, what the agent did instead, then the rest.

Only `Text` objects are printed, never markup, so that `[red]` in a test id is shown as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.arms import Arms, compare_arms
from skilltrace_mlflow.attempts import AttemptStats
from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.report._arms import ARMS_HEAD, arms_lines, arms_rows
from skilltrace_mlflow.report._attempts import (
    HEAD,
    attempts_of,
    attempts_rows,
    attempts_summary,
    triggering_summary,
)
from skilltrace_mlflow.report._console import printed, terminal_width
from skilltrace_mlflow.report._names import labels
from skilltrace_mlflow.results import EXIT_OK, Evaluation, GateResult, TestResult
from skilltrace_mlflow.text import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

__all__ = ["headline", "problems", "render_table", "table_text", "what_happened"]

_STYLES = {"pass": "green", "fail": "bold red", "error": "bold magenta", "unknown": "bold yellow"}
_ORDER = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.UNKNOWN: 2, Verdict.PASS: 3}
_MOST_PROBLEMS = 200
_MOST_PASSED = 30
_NARROW = 60
_LONGEST = 280  # four lines of a usual terminal; the rest is one format away


def table_text(evaluation: Evaluation, *, width: int | None = None, color: bool = False) -> str:
    """The table as a string; `width` is the terminal's unless given."""
    columns = width or terminal_width()
    return printed(_parts(evaluation, columns), width=columns, color=color)


def render_table(evaluation: Evaluation, console: Console) -> None:
    """Print the evaluation: problems, gates, passes, notes, and one summary line at the end."""
    for part in _parts(evaluation, console.width):
        console.print(part, soft_wrap=False)


def problems(evaluation: Evaluation) -> list[tuple[TestResult, Outcome]]:
    """Everything that did not pass, failures before errors before unknowns, tests in order.

    What kept a whole test from being judged comes as an outcome without a check's name.
    """
    found: list[tuple[TestResult, Outcome]] = []
    for result in evaluation.results:
        if result.error is not None:
            found.append((result, Outcome(verdict=Verdict.ERROR, rationale=result.error)))
        elif not result.judged:
            reason = "nothing was expected of this test, so nothing was judged"
            found.append((result, Outcome(verdict=Verdict.UNKNOWN, rationale=reason)))
        found += [(result, o) for o in result.judged if o.verdict is not Verdict.PASS]
    return sorted(found, key=lambda pair: _ORDER[pair[1].verdict])


def what_happened(outcome: Outcome, limit: int = 400) -> str:
    """Expected and observed on one line, behind the calls that it speaks of: the rationale, or what
    was missed where there is none.
    """
    text = outcome.explanation or "; ".join(outcome.misses[:5]) or "no reason given"
    return one_line(text, limit)


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
        f"{_plural(len(evaluation.results), 'test')}: {_counts(tests)}",
        f"{_plural(sum(checks.values()), 'check')}: {_counts(checks)}",
    ]
    if evaluation.gates:
        failed = sum(1 for gate in evaluation.gates if not gate.passed)
        parts.append(f"{_plural(len(evaluation.gates), 'gate')}: {failed} failed")
    return " · ".join(parts)


def _allowed_by(evaluation: Evaluation) -> str:
    """The gates that allowed what did not pass, where the whole passed all the same."""
    if evaluation.exit_code != EXIT_OK:
        return ""
    missed = {outcome.check for _, outcome in problems(evaluation)}
    gates = [gate for gate in evaluation.gates if missed.intersection(gate.checks)]
    return ", ".join(f"gate {one_line(g.name, 60)}: {g.shown} of {g.required:g}" for g in gates)


def _parts(evaluation: Evaluation, width: int) -> Iterable[RenderableType]:
    from rich.text import Text

    found = problems(evaluation)
    names = labels(evaluation.results)
    if found:
        yield _problem_table(found[:_MOST_PROBLEMS], names, width)
        if len(found) > _MOST_PROBLEMS:
            rest = len(found) - _MOST_PROBLEMS
            yield Text(f"… and {rest:,} more; --format jsonl or --report shows them all")
        yield Text()
    yield from _passes(evaluation, names)
    stats = attempts_of(evaluation)
    if stats is not None:
        yield from _attempts(stats, width)
    triggering = triggering_summary(evaluation)
    if triggering is not None:
        yield Text(triggering)
        yield Text()
    arms = compare_arms(evaluation)
    if arms is not None:
        yield from _arms(arms, width)
    if evaluation.gates:
        yield _gate_table(evaluation.gates, width)
        yield Text()
    for text in evaluation.incomplete:
        yield Text(f"lost: {one_line(text, 400)}", style=_STYLES["unknown"])
    notes = [*evaluation.notes]
    notes += [f"{names[id(r)]}: {note}" for r in evaluation.results for note in r.notes]
    for text in notes[:_MOST_PASSED]:
        yield Text(f"note: {one_line(text, 400)}", style="dim")
    if len(notes) > _MOST_PASSED:
        yield Text(f"… and {len(notes) - _MOST_PASSED:,} more notes", style="dim")
    if evaluation.run_id:
        yield Text(f"MLflow run {one_line(evaluation.run_id)}", style="dim")
    style = {0: "bold green", 1: "bold red", 2: "bold red"}.get(evaluation.exit_code, "bold yellow")
    yield Text(headline(evaluation), style=style)


def _problem_table(
    found: Sequence[tuple[TestResult, Outcome]], names: dict[int, str], width: int
) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if width < _NARROW:  # columns of four letters help nobody: one block per problem
        blocks = Text()
        for result, outcome in found:
            verdict = str(outcome.verdict)
            blocks.append(verdict.upper(), style=_STYLES[verdict])
            blocks.append(f" {one_line(outcome.check, 60) or 'test'}", style="bold")
            blocks.append(f" in {names[id(result)]}\n  {what_happened(outcome, _LONGEST)}\n")
        blocks.rstrip()
        return blocks
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=False)
    table.add_column("verdict", no_wrap=True)
    table.add_column("check", overflow="fold", max_width=max(18, width // 4))
    table.add_column("expected and observed", overflow="fold", ratio=1)
    table.add_column("test", overflow="fold", max_width=max(14, width // 4))
    for result, outcome in found:
        verdict = str(outcome.verdict)
        table.add_row(
            Text(verdict.upper(), style=_STYLES[verdict]),
            Text(one_line(outcome.check, 80) or "(whole test)", style="bold"),
            Text(what_happened(outcome, _LONGEST)),
            Text(names[id(result)]),
        )
    return table


def _passes(evaluation: Evaluation, names: dict[int, str]) -> Iterable[RenderableType]:
    from rich.text import Text

    passed = [
        (result, [o.check for o in result.judged if o.verdict is Verdict.PASS])
        for result in evaluation.results
    ]
    passed = [(result, checks) for result, checks in passed if checks]
    for result, checks in passed[:_MOST_PASSED]:
        line = Text("pass  ", style=_STYLES["pass"])
        line.append(f"{names[id(result)]}: ", style="none")
        line.append(one_line(", ".join(checks), 600), style="dim")
        yield line
    if len(passed) > _MOST_PASSED:
        yield Text(f"… and passes in {len(passed) - _MOST_PASSED:,} more tests", style="dim")
    if passed:
        yield Text()


def _arms(arms: Arms, width: int) -> Iterable[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, name in enumerate(ARMS_HEAD):
        justify: Any = "right" if number else "left"
        table.add_column(name, overflow="fold", max_width=max(14, width // 3), justify=justify)
    for name, *figures in arms_rows(arms):
        table.add_row(Text(one_line(name, 80)), *figures)
    yield table
    for line in arms_lines(arms):
        yield Text(line)
    yield Text()


def _attempts(stats: AttemptStats, width: int) -> Iterable[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in HEAD:
        table.add_column(name, overflow="fold", max_width=max(14, width // 3))
    rows = attempts_rows(stats)
    for name, *figures in rows[:_MOST_PASSED]:
        table.add_row(Text(one_line(name, 80)), *figures)
    yield table
    if len(rows) > _MOST_PASSED:
        yield Text(f"… and {len(rows) - _MOST_PASSED:,} more test cases", style="dim")
    yield Text(attempts_summary(stats))
    yield Text()


def _gate_table(gates: Sequence[GateResult], width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("gate", overflow="fold", max_width=max(16, width // 3))
    table.add_column("required", justify="right")
    table.add_column("got", justify="right")
    table.add_column("judged", justify="right")
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    for gate in sorted(gates, key=lambda gate: gate.passed):
        verdict = "pass" if gate.passed else "fail"
        table.add_row(
            Text(one_line(gate.name, 80)),
            Text(f"{gate.required:g}"),
            Text(gate.shown),
            Text(gate.shown_coverage),
            Text(verdict.upper() if not gate.passed else verdict, style=_STYLES[verdict]),
            Text(one_line(gate.reason, 300)),
        )
    return table


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _counts(counter: Counter[str]) -> str:
    words = (("fail", "failed"), ("error", "in error"), ("unknown", "unknown"), ("pass", "passed"))
    return ", ".join(f"{counter[key]:,} {word}" for key, word in words if counter[key]) or "none"
