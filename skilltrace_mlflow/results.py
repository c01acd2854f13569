"""What an evaluation returns: one `TestResult` per test case and attempt, and the `Evaluation`.

Reports, gates and exit codes read these; nothing here knows MLflow.
"""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from skilltrace_mlflow.checks import Outcome, Verdict
from skilltrace_mlflow.errors import EvaluationFailedError
from skilltrace_mlflow.figures import Figures, figures
from skilltrace_mlflow.metrics import TraceSummary, compute_trace_summary
from skilltrace_mlflow.session import Session
from skilltrace_mlflow.text import clipped

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EXIT_FAILED",
    "EXIT_INPUT",
    "EXIT_OK",
    "EXIT_UNKNOWN",
    "Evaluation",
    "GateResult",
    "TestResult",
]

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INPUT = 2
EXIT_UNKNOWN = 3


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """The verdicts on one attempt at one test case.

    `outcomes` holds every check that was expected, in order of name. `error` says why the test as a
    whole could not be judged; `bad_input` that its file could not be read. `session` is the
    evidence (dropped, with only its `summary` and `numbers` kept, where thousands are scored), some
    turns of a session unless `whole_session`.
    `source` is the file or the trace it was judged on, `notes` what a reader should know about that
    choice.
    """

    __test__ = False  # not a test class, whatever its name says to pytest

    test_id: str
    skill: str
    attempt: int = 1
    outcomes: tuple[Outcome, ...] = ()
    session: Session | None = field(default=None, compare=False, repr=False)
    whole_session: bool = True
    summary: TraceSummary | None = None
    numbers: Figures | None = None
    trace_id: str | None = None
    run_id: str | None = None
    source: str | None = None
    category: str | None = None
    prompt: str | None = None
    arm: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    bad_input: bool = False

    @property
    def judged(self) -> tuple[Outcome, ...]:
        """The outcomes that say something: all but `not_applicable`."""
        return tuple(o for o in self.outcomes if o.verdict is not Verdict.NOT_APPLICABLE)

    @property
    def verdict(self) -> Verdict:
        """fail before error before unknown before pass; nothing judged at all is unknown."""
        verdicts = {outcome.verdict for outcome in self.judged}
        if self.error is not None:
            verdicts.add(Verdict.ERROR)
        for verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.UNKNOWN, Verdict.PASS):
            if verdict in verdicts:
                return verdict
        return Verdict.UNKNOWN

    @property
    def trace_summary(self) -> TraceSummary | None:
        """Summary of the trace it was judged on, None where there was none."""
        if self.summary is not None:
            return self.summary
        return None if self.session is None else compute_trace_summary(self.session)

    @property
    def figures(self) -> Figures | None:
        """Tokens, calls, turns, seconds and cost of the trace, None where there was none."""
        if self.numbers is not None:
            return self.numbers
        return None if self.session is None else figures(self.session)

    def without_session(self) -> TestResult:
        """This result without the evidence, but with everything that a result line shows of it."""
        return replace(self, summary=self.trace_summary, numbers=self.figures, session=None)


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """A gate: the least figure required of a check (or a group of checks), and what was got.

    `coverage` is the share of tests on which the check could be evaluated; a gate needs all of
    them.
    """

    name: str
    required: float
    got: float | None
    coverage: float
    passed: bool
    reason: str = ""
    checks: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What was got, in as many digits as tell it from what is required."""
        if self.got is None:
            return "—"
        digits = 3
        while digits < 12 and (self.got < self.required) != (
            float(f"{self.got:.{digits}g}") < self.required
        ):
            digits += 1
        return f"{self.got:.{digits}g}"

    @property
    def shown_coverage(self) -> str:
        """The share in per cent; 100% only where nothing is missing."""
        return f"{int(self.coverage * 100 + 1e-9)}%"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All results of one evaluation, its gates, and where it was logged.

    `metrics` are the figures logged to the MLflow run. `incomplete` names what was lost on the way
    (assessments that could not be logged): not empty means exit code 3 at least. `without` are the
    results of the same tests without the skill, to compare with: they decide no gate and no exit
    code.
    """

    skill: str
    results: tuple[TestResult, ...]
    gates: tuple[GateResult, ...] = ()
    run_id: str | None = None
    run_name: str | None = None
    experiment_id: str | None = None
    tracking_uri: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    without: tuple[TestResult, ...] = ()

    @property
    def check_names(self) -> tuple[str, ...]:
        """Names of all checks that were judged on any test, sorted."""
        return tuple(sorted({o.check for result in self.results for o in result.judged}))

    @property
    def exit_code(self) -> int:
        """2 an input was unreadable, 1 an expectation or gate failed, 3 something could not be
        evaluated, 0 all met: the first that applies.

        A check that a gate names is judged by its gate alone, every other check must pass on every
        test.
        """
        if any(result.bad_input for result in self.results):
            return EXIT_INPUT
        gated = {name for gate in self.gates for name in gate.checks}
        verdicts = {
            outcome.verdict
            for result in self.results
            for outcome in result.judged
            if outcome.check not in gated
        }
        if Verdict.FAIL in verdicts or any(not gate.passed for gate in self.gates):
            return EXIT_FAILED
        unjudged = any(result.error is not None or not result.judged for result in self.results)
        if (
            Verdict.UNKNOWN in verdicts
            or Verdict.ERROR in verdicts
            or unjudged
            or self.incomplete
            or not self.results
        ):
            return EXIT_UNKNOWN
        return EXIT_OK

    @property
    def allowed_checks(self) -> Mapping[str, str]:
        """Checks that gates alone judge, all of whose gates passed, to what the gates say."""
        failed = {name for gate in self.gates if not gate.passed for name in gate.checks}
        return {
            name: f"gate {gate.name} passed: {gate.shown} of {gate.required:g} required"
            for gate in self.gates
            for name in gate.checks
            if name not in failed and gate.got is not None
        }

    def raise_for_exit_code(self) -> None:
        """Raise EvaluationFailedError unless the exit code is 0: what fails a notebook's run."""
        code = self.exit_code
        if code == EXIT_OK:
            return
        gates = [f"gate {g.name}: {g.shown} of {g.required:g}" for g in self.gates if not g.passed]
        tests = [f"{r.test_id}: {r.verdict}" for r in self.results if r.verdict is not Verdict.PASS]
        said = [*gates, *tests, *self.incomplete] or ["nothing was judged"]
        more = f" and {len(said) - _MOST_REASONS} more" if len(said) > _MOST_REASONS else ""
        raise EvaluationFailedError(
            f"{self.skill}: exit code {code}: {'; '.join(said[:_MOST_REASONS])}{more}",
            exit_code=code,
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row per test, attempt and check: test_id, attempt, check, verdict, score, rationale,
        trace_id, run_id.
        """
        import pandas as pd

        columns = ("test_id", "attempt", "check", "verdict", "score", "rationale")
        rows = [
            (r.test_id, r.attempt, o.check, str(o.verdict), o.score, o.rationale, r.trace_id)
            for r in self.results
            for o in r.judged
        ]
        frame: pd.DataFrame = pd.DataFrame(rows, columns=[*columns, "trace_id"])
        frame["run_id"] = self.run_id
        return frame

    def report(self, path: str | os.PathLike[str] | None = None) -> Any:
        """The HTML report: a notebook shows it, and with `path` it is saved there, too.

        Raises SkillTraceError if the file cannot be written.
        """
        return _shown("evaluation_page")(self, path)

    def __repr__(self) -> str:
        tests = Counter(str(result.verdict) for result in self.results)
        said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(tests.items())) or "none"
        return f"Evaluation({clipped(self.skill, 80)!r}, tests: {said}; exit code {self.exit_code})"

    def _repr_html_(self) -> str:
        """Headline, gates, reasons and the matrix of tests by checks; hover a cell to read why."""
        text: str = _shown("evaluation_html")(self)
        return text


_MOST_REASONS = 10


def _shown(name: str) -> Callable[..., Any]:
    """A function of `report.notebook`, which stands above the results and is looked up only when
    somebody looks at them.
    """
    function: Callable[..., Any] = getattr(
        importlib.import_module("skilltrace_mlflow.report.notebook"), name
    )
    return function
