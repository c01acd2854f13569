"""`review`: approve, edit or reject candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from skilltrace_mlflow.cli._common import colourful, note, remark, verbosity_options, write_result
from skilltrace_mlflow.cli._options import skills_option, store_options
from skilltrace_mlflow.errors import ConfigurationError

if TYPE_CHECKING:
    from skilltrace_mlflow.agent.candidates import Candidate
    from skilltrace_mlflow.expectations import Manifest

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
    from skilltrace_mlflow.agent.candidates import opened
    from skilltrace_mlflow.agent.review import review, reviews_of_mlflow, whoami
    from skilltrace_mlflow.expectations import load_manifest

    manifest = load_manifest(skill, skills_dir=skills_dir)
    place: dict[str, Any] = {"experiment": experiment, "tracking_uri": tracking_uri}
    both = set(approve) & set(reject)
    if both:
        raise ConfigurationError(f"{sorted(both)[0]!r}: approve it or reject it")
    if from_mlflow:
        taken = reviews_of_mlflow(manifest, **place)
        for name, status in taken.items():
            remark(f"{name}: {status}")
        if not taken:
            remark("no new review in MLflow")
    reviewer = reviewer or whoami() or ""
    problems: tuple[str, ...] = ()
    if approve:
        problems += review(manifest, approve, "approved", reviewer=reviewer, note=text, **place)
    if reject:
        problems += review(manifest, reject, "rejected", reviewer=reviewer, note=text, **place)
    if not (approve or reject or from_mlflow):
        with opened(manifest) as candidates:
            waiting = candidates.with_status("pending")
        if not waiting:
            remark("nothing to review")
        for number, candidate in enumerate(waiting, start=1):
            note(f"{number} of {len(waiting)}")
            answer = _ask(manifest, candidate, reviewer, place)
            if answer is None:
                break
            problems += answer
    elif not quiet:
        for name in approve:
            note(f"{name}: approved by {reviewer}")
        for name in reject:
            note(f"{name}: rejected by {reviewer}")
    for problem in problems:
        note(problem)
    return 3 if problems else 0


def _ask(
    manifest: Manifest, candidate: Candidate, reviewer: str, place: dict[str, Any]
) -> tuple[str, ...] | None:
    """Show one candidate and do what the person says; None where they want to stop."""
    from skilltrace_mlflow.agent.review import review

    write_result(_shown(candidate, place), "review")
    expectations: dict[str, Any] | None = None
    while True:
        choice = click.prompt(
            "[a]pprove, [e]dit the expectations, [r]eject, [s]kip, [q]uit",
            type=click.Choice(["a", "e", "r", "s", "q"]),
            show_choices=False,
            err=True,
        )
        if choice == "q":
            return None
        if choice == "s":
            return ()
        if choice == "e":
            expectations = _edited(candidate, expectations)
            continue
        why = click.prompt("note", default="", show_default=False, err=True)
        status: Any = "approved" if choice == "a" else "rejected"
        try:
            return review(
                manifest,
                [candidate.id],
                status,
                reviewer=reviewer,
                note=why,
                expectations=expectations,
                **place,
            )
        except ConfigurationError as error:  # a rejection without a reason, a typo in the edit
            note(str(error))


def _edited(candidate: Candidate, earlier: dict[str, Any] | None) -> dict[str, Any] | None:
    import yaml

    from skilltrace_mlflow.expectations import parse_expectations

    current = candidate.expectations if earlier is None else earlier
    text = yaml.safe_dump(dict(current), sort_keys=False, allow_unicode=True, width=100)
    changed = click.edit(text, extension=".yaml")
    if changed is None:
        note("left as they are")
        return earlier
    try:
        values = yaml.safe_load(changed) or {}
        parse_expectations(values, where="expectations")
    except (yaml.YAMLError, ConfigurationError) as error:
        note(f"left as they are: {error}")
        return earlier
    return dict(values)


def _shown(candidate: Candidate, place: dict[str, Any]) -> str:
    import yaml

    from skilltrace_mlflow.agent.review import session_of
    from skilltrace_mlflow.report import timeline_text

    session = session_of(candidate, **place)
    parts = [
        f"── {candidate.id} ({candidate.created_at})",
        f"prompt: {candidate.prompt}",
        f"response: {candidate.response or '(none)'}",
    ]
    if session is not None:
        parts.append(timeline_text(session, name=candidate.id, color=colourful()).rstrip())
    else:
        parts.append("(its trace cannot be read here)")
    parts += [
        f"{c.get('name')}: {c.get('verdict')}: {c.get('rationale')}" for c in candidate.checks
    ]
    proposed = yaml.safe_dump(dict(candidate.expectations), sort_keys=False, allow_unicode=True)
    return "\n".join([*parts, "proposed expectations:", proposed])
