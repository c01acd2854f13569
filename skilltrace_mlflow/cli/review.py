"""`review`: approve, edit or reject candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from skilltrace_mlflow.cli._common import colourful, note, remark, verbosity_options, write_result
from skilltrace_mlflow.cli._options import skills_option, store_options
from skilltrace_mlflow.errors import ConfigurationError
from skilltrace_mlflow.text import counted, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skilltrace_mlflow.agent.candidates import Candidate, Status
    from skilltrace_mlflow.expectations import Manifest
    from skilltrace_mlflow.session import Session

__all__ = ["command"]


@click.command(
    epilog="Example: skilltrace-mlflow review my-skill --approve captured_001 --reviewer ana",
)
@click.argument("skill")
@click.option("--approve", multiple=True, metavar="ID", help="Approve this candidate.")
@click.option("--reject", multiple=True, metavar="ID", help="Reject it; --note says why.")
@click.option("--reviewer", metavar="NAME", help="Who reviews [your user name].")
@click.option("--note", "text", metavar="TEXT", help="Why.")
@click.option("--from-mlflow", is_flag=True, help="Take over the reviews made in MLflow's UI.")
@skills_option
@store_options
@verbosity_options
def command(
    skill: str,
    approve: tuple[str, ...],
    reject: tuple[str, ...],
    reviewer: str | None,
    text: str | None,
    from_mlflow: bool,
    skills_dir: str | None,
    experiment: str | None,
    tracking_uri: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Review SKILL's candidates: prompt, response, timeline, proposed expectations.

    Without --approve, --reject or --from-mlflow it asks about each that is pending. A review is
    also an assessment of source HUMAN, named skilltrace_review, on the candidate's trace.
    """
    from skilltrace_mlflow.agent.review import review, reviews_of_mlflow, whoami
    from skilltrace_mlflow.expectations import load_manifest

    manifest = load_manifest(skill, skills_dir=skills_dir)
    place: dict[str, Any] = {"experiment": experiment, "tracking_uri": tracking_uri}
    both = set(approve) & set(reject)
    if both:
        raise ConfigurationError(f"{sorted(both)[0]!r}: approve it or reject it")
    if from_mlflow:
        taken = reviews_of_mlflow(manifest, **place)
        for name, status in taken.reviewed.items():
            remark(f"{name}: {status}")
        if not taken.reviewed:
            remark("no new review in MLflow")
        for told in taken.remarks:
            note(told)
    reviewer = reviewer or whoami() or ""
    problems: tuple[str, ...] = taken.problems if from_mlflow else ()
    if approve:
        problems += review(manifest, approve, "approved", reviewer=reviewer, note=text, **place)
    if reject:
        problems += review(manifest, reject, "rejected", reviewer=reviewer, note=text, **place)
    for name in approve:
        remark(f"{name}: approved by {reviewer}")
    for name in reject:
        remark(f"{name}: rejected by {reviewer}")
    if not (approve or reject or from_mlflow):
        problems += _ask_all(manifest, reviewer, text, place)
    for problem in problems:
        note(problem)
    return 3 if problems else 0


def _ask_all(
    manifest: Manifest, reviewer: str, text: str | None, place: dict[str, Any]
) -> tuple[str, ...]:
    """Ask about each pending candidate; returns what could not be logged. Whoever stops in between
    (`q`, Ctrl-C, Ctrl-D) keeps the reviews made so far.
    """
    from skilltrace_mlflow.agent.candidates import opened

    with opened(manifest) as candidates:
        waiting = candidates.with_status("pending")
    if not waiting:
        remark("nothing to review")
    problems: tuple[str, ...] = ()
    left = len(waiting)
    try:
        for number, candidate in enumerate(waiting, start=1):
            note(f"{number} of {len(waiting)}")
            answer = _ask(manifest, candidate, reviewer, text, place)
            if answer == "quit":
                break
            if answer != "skip":
                left -= 1
                problems += answer
    finally:
        if left and waiting:
            remark(f"{counted(left, 'candidate')} still to review")
    return problems


def _ask(
    manifest: Manifest,
    candidate: Candidate,
    reviewer: str,
    text: str | None,
    place: dict[str, Any],
) -> tuple[str, ...] | Literal["skip", "quit"]:
    """Show one candidate and do what the person says; returns what could not be logged."""
    from skilltrace_mlflow.agent.review import review, session_of

    session = session_of(candidate, **place)
    write_result(_shown(candidate, session), "review")
    edit = _Edit(candidate, manifest, session)
    while True:
        choice = click.prompt(
            "[a]pprove [e]dit [r]eject [s]kip [q]uit",
            type=click.Choice(["a", "e", "r", "s", "q"], case_sensitive=False),
            show_choices=False,
            err=True,
        )
        if choice == "q":
            return "quit"
        if choice == "s":
            return "skip"
        if choice == "e":
            edit.ask()
            continue
        status: Status = "approved" if choice == "a" else "rejected"
        why = text or click.prompt(
            "note" if choice == "a" else "why", default="", show_default=False, err=True
        )
        if choice == "r" and not why.strip():
            note("a rejection says why")
            continue
        try:
            problems = review(
                manifest,
                [candidate.id],
                status,
                reviewer=reviewer,
                note=why,
                expectations=edit.values,
                **place,
            )
        except ConfigurationError as error:  # another process may have changed the file
            note(str(error))
            continue
        remark(f"{candidate.id}: {status} by {reviewer}")
        return problems


class _Edit:
    """The expectations of one candidate in the person's editor. `values` are those that hold
    together, None where there are no others; what does not is kept to be mended.
    """

    def __init__(self, candidate: Candidate, manifest: Manifest, session: Session | None) -> None:
        self.manifest = manifest
        self.session = session
        self.values: dict[str, Any] | None = None
        self._text = _yaml(candidate.expectations)

    def ask(self) -> None:
        """Open the editor, and say what the expectations make of the session now."""
        import yaml

        from skilltrace_mlflow.agent.candidates import checks_of
        from skilltrace_mlflow.expectations import parse_expectations

        try:
            changed = click.edit(self._text, extension=".yaml")
        except click.ClickException as error:  # no editor, or one that failed
            note(f"left as they are: {error.format_message()}; EDITOR names another editor")
            return
        if changed is None:
            note("left as they are")
            return
        self._text = changed
        try:
            values = yaml.safe_load(changed) or {}
            parse_expectations(values, where="expectations")
            checks = [] if self.session is None else checks_of(self.session, self.manifest, values)
        except (yaml.YAMLError, ConfigurationError) as error:
            note(f"left as they were: {' '.join(str(error).split())}; e goes on with your text")
            return
        self.values = dict(values)
        if self.session is None:
            note("changed; its trace cannot be read here to say whether they hold")
        else:
            failing = [check for check in checks if check["verdict"] != "pass"]
            note(f"changed: {len(checks) - len(failing)} of {counted(len(checks), 'check')} pass")
            for check in failing:
                note(_check(check))


def _shown(candidate: Candidate, session: Session | None) -> str:
    from skilltrace_mlflow.report import timeline_text

    before = [
        f"── {candidate.id} ({candidate.created_at})",
        f"prompt: {candidate.prompt}",
        f"response: {candidate.response or '(none)'}",
    ]
    timeline = "(its trace cannot be read here)"
    if session is not None:
        timeline = timeline_text(session, name="timeline", color=colourful()).rstrip()
    after = [*map(_check, candidate.checks), "", "proposed expectations", ""]
    return "\n".join(
        [
            *map(plain, before),
            "",
            timeline,
            "",
            *map(plain, after),
            plain(_yaml(candidate.expectations)),
        ]
    )


def _check(check: Mapping[str, Any]) -> str:
    return f"{check.get('name')}: {check.get('verdict')}: {check.get('rationale')}"


def _yaml(expectations: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(expectations), sort_keys=False, allow_unicode=True, width=100)
