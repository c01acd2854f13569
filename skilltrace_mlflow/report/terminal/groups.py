"""What did not pass, test by test as a terminal shows it: the worst first, a line per check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.report._words import WHOLE_TEST, WORST_FIRST, missed, what_happened
from skilltrace_mlflow.report.terminal.lines import cells, hanging
from skilltrace_mlflow.results import Evaluation, TestResult
from skilltrace_mlflow.text import counted, one_line

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["LONGEST", "STYLES", "Group", "group_lines", "groups", "name_of"]

STYLES = {"pass": "green", "fail": "bold red", "error": "bold magenta", "unknown": "bold yellow"}
LONGEST = 280  # four lines of a usual terminal; the rest is one format away
_WIDEST_NAME = 34
_DID = {Verdict.FAIL: "failed", Verdict.ERROR: "in error", Verdict.UNKNOWN: "not judged"}


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
