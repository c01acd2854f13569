"""The command line's options of an evaluation, made from their declaration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skilltrace_mlflow.options import Declared, Door, declared

if TYPE_CHECKING:
    from skilltrace_mlflow.sources.load import Evidence

__all__ = [
    "ExpandedPath",
    "agent_options",
    "door_options",
    "newest_options",
    "newest_session",
    "skills_option",
    "store_options",
    "told_apart",
]

F = TypeVar("F", bound=Callable[..., Any])

_STORE = ("experiment", "tracking_uri")
_SESSIONS = (".jsonl", ".json", ".jsonl.gz")


class ExpandedPath(click.Path):
    """A path argument in which `~` is expanded, as everywhere in this package."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and value.startswith("~"):
            value = str(Path(value).expanduser())
        return super().convert(value, param, ctx)


def door_options(door: Door) -> Callable[[F], F]:
    """Every option that `door` takes; the command gets each by the name of its field."""

    def add(function: F) -> F:
        for item, said in reversed(list(declared(door))):
            function = _click_option(item.name, said)(function)
        return function

    return add


def store_options(function: F) -> F:
    """`--experiment` and `--tracking-uri`, for commands that evaluate nothing."""
    for item, said in reversed(list(declared())):
        if item.name in _STORE:
            function = _click_option(item.name, said)(function)
    return function


def skills_option(function: F) -> F:
    """`--skills-dir`, for commands that evaluate nothing."""
    (said,) = (said for item, said in declared() if item.name == "skills_dir")
    return _click_option("skills_dir", said)(function)


def told_apart(
    named: tuple[str, ...], *, behind_trace: bool
) -> tuple[str | None, tuple[Path, ...]]:
    """The skill, and the files that a shell made of a pattern behind `--trace`: those that end as
    recorded sessions do.
    """
    files = [name for name in named if behind_trace and name.endswith(_SESSIONS)]
    others = [name for name in named if name not in files]
    if len(others) > 1:
        raise click.UsageError(f"Got several skills: {', '.join(map(repr, others))}; name one.")
    return (others[0] if others else None), tuple(Path(name).expanduser() for name in files)


def newest_options(function: F) -> F:
    """`--latest` and `--local`, for commands that look at a session without evaluating it."""
    for flag, text in (
        ("--local", "The newest session of this directory on this machine."),
        ("--latest", "The newest session of the experiment, else of this directory."),
    ):
        function = click.option(flag, is_flag=True, help=text)(function)
    return function


def agent_options(function: F) -> F:
    """Who works on a prompt, within which bounds, and what is kept of it: `run`, `capture`."""
    for option in reversed(
        (
            click.option(
                "--model", metavar="NAME", help="The agent's model [the manifest's, else its own]."
            ),
            click.option(
                "--timeout",
                type=click.FloatRange(min=0, min_open=True),
                metavar="SECONDS",
                help="Bound on each attempt [the manifest's, else 600].",
            ),
            click.option(
                "--max-usd",
                type=click.FloatRange(min=0, min_open=True),
                metavar="USD",
                help="Bound on the whole run: no attempt is started that could pass it.",
            ),
            click.option(
                "--agent",
                type=click.Choice(["claude", "replay"]),
                help="Who works on the prompts [claude].",
            ),
            click.option(
                "--claude-bin", metavar="PATH", help="The Claude Code binary [claude on PATH]."
            ),
            click.option(
                "--replay",
                type=ExpandedPath(file_okay=False, exists=True),
                metavar="DIR",
                help="Recorded sessions for --agent replay [those that the test cases name].",
            ),
            click.option(
                "--results",
                type=ExpandedPath(file_okay=False),
                default=".skilltrace/runs",
                show_default=True,
                metavar="DIR",
                help="Where runs are kept.",
            ),
            click.option("--keep", is_flag=True, help="Keep the workspaces."),
            click.option("--redact", is_flag=True, help="Take secrets out of the traces."),
        )
    ):
        function = option(function)
    return function


def newest_session(
    latest: bool, experiment: str | None = None, tracking_uri: str | None = None
) -> Evidence:
    """The session that `--latest` means, or (not `latest`) `--local`."""
    from skilltrace_mlflow.sources import load

    return load.latest(experiment, tracking_uri=tracking_uri) if latest else load.latest_local()


def _click_option(name: str, said: Declared) -> Callable[[F], F]:
    shared: dict[str, Any] = {"help": said.help}
    if said.kind == "flag":
        return click.option(said.flag, name, is_flag=True, **shared)
    shared["metavar"] = said.metavar
    if said.kind == "gates":
        return click.option(said.flag, name, multiple=True, callback=_gates, **shared)
    if said.kind == "texts":
        return click.option(said.flag, name, multiple=True, **shared)
    kinds: dict[str, click.ParamType[Any] | type[str]] = {
        "text": str,
        "folder": ExpandedPath(file_okay=False),
        "count": click.IntRange(min=1),
        "seconds": click.FloatRange(min=0, min_open=True),
    }
    return click.option(said.flag, name, type=kinds[said.kind], **shared)


def _gates(
    _context: click.Context, _parameter: click.Parameter, texts: Sequence[str]
) -> dict[str, float]:
    from skilltrace_mlflow.gates import parse_gate

    return dict(parse_gate(text) for text in texts)
