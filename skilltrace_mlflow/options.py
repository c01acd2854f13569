"""The options of an evaluation, each declared once.

The command line makes its options from these fields, `trace_eval` and `evaluate_skill` take those
of their door by the same names and defaults, and a run keeps those that a resumed one has to share.
A test holds all four together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal

from skilltrace_mlflow.errors import ConfigurationError

__all__ = ["EVALUATE_SKILL", "TRACE_EVAL", "Declared", "Door", "EvaluationOptions", "declared"]

Door = Literal["trace_eval", "evaluate_skill"]
TRACE_EVAL: Door = "trace_eval"
EVALUATE_SKILL: Door = "evaluate_skill"

Texts = Sequence[str]
"""Given as a list or as one text, kept as a tuple."""

Kind = Literal["flag", "text", "texts", "folder", "count", "seconds", "gates"]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What there is to say of an option beside its name, type and default.

    `flag` is its name on the command line; `kind` how a text given there is read; `doors` where it
    is taken; `kept` whether it belongs to what a run set out to do, which `resume` must not change.
    """

    flag: str
    help: str
    kind: Kind
    doors: tuple[Door, ...]
    metavar: str | None = None
    kept: bool = False


def _said(
    flag: str,
    kind: Kind,
    text: str,
    *doors: Door,
    metavar: str | None = None,
    kept: bool = False,
) -> dict[str, Declared]:
    return {
        "declared": Declared(
            flag=flag, help=text, kind=kind, doors=doors, metavar=metavar, kept=kept
        )
    }


_BOTH: tuple[Door, ...] = (TRACE_EVAL, EVALUATE_SKILL)


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How an evaluation is to be done; a value that cannot be meant is a ConfigurationError."""

    include_traces: bool = field(
        default=False,
        metadata=_said(
            "--include-traces",
            "flag",
            "Judge each case's trace too, not only the response.",
            EVALUATE_SKILL,
            kept=True,
        ),
    )
    run_id: str | None = field(
        default=None,
        metadata=_said(
            "--run-id",
            "text",
            "Each trace linked to this MLflow run.",
            TRACE_EVAL,
            metavar="ID",
        ),
    )
    trace_id: str | None = field(
        default=None,
        metadata=_said(
            "--trace-id", "text", "One MLflow trace (a user turn).", TRACE_EVAL, metavar="ID"
        ),
    )
    session_id: str | None = field(
        default=None,
        metadata=_said(
            "--session-id",
            "text",
            "All turns of a session, in MLflow or local.",
            TRACE_EVAL,
            metavar="ID",
        ),
    )
    latest: bool = field(
        default=False,
        metadata=_said(
            "--latest",
            "flag",
            "The newest trace of the experiment; without a store, as --local.",
            TRACE_EVAL,
        ),
    )
    local: bool = field(
        default=False,
        metadata=_said(
            "--local", "flag", "This machine's newest session of this directory.", TRACE_EVAL
        ),
    )
    test_id: str | None = field(
        default=None,
        metadata=_said(
            "--test-id",
            "text",
            "Apply this test case's overrides; the traces are its attempts.",
            TRACE_EVAL,
            metavar="ID",
        ),
    )
    test_ids: Texts = field(
        default=(),
        metadata=_said(
            "--test-id",
            "texts",
            "Only this test case (repeatable).",
            EVALUATE_SKILL,
            metavar="ID",
            kept=True,
        ),
    )
    filter_category: Texts = field(
        default=(),
        metadata=_said(
            "--filter-category",
            "texts",
            "Only cases of it (repeatable).",
            EVALUATE_SKILL,
            metavar="NAME",
            kept=True,
        ),
    )
    tags: Texts = field(
        default=(),
        metadata=_said(
            "--tag",
            "texts",
            "Only cases with this tag (repeatable).",
            EVALUATE_SKILL,
            metavar="TAG",
            kept=True,
        ),
    )
    attempts: int | None = field(
        default=None,
        metadata=_said(
            "--attempts",
            "count",
            "Judge N traces per case: pass rate, pass@k, pass^k with intervals.",
            EVALUATE_SKILL,
            metavar="N",
            kept=True,
        ),
    )
    timeout: float | None = field(
        default=None,
        metadata=_said(
            "--timeout",
            "seconds",
            "Bound on everything; what is not done by then is named, and the run can be resumed.",
            EVALUATE_SKILL,
            metavar="SECONDS",
        ),
    )
    fail_under: Mapping[str, float] = field(
        default_factory=dict,
        metadata=_said(
            "--fail-under",
            "gates",
            "A gate, repeatable.",
            *_BOTH,
            metavar="NAME=VALUE",
            kept=True,
        ),
    )
    strict_prompts: bool = field(
        default=False,
        metadata=_said(
            "--strict-prompts",
            "flag",
            "A test judged on a session with another prompt is unknown, not only remarked on.",
            *_BOTH,
            kept=True,
        ),
    )
    no_llm: bool = field(
        default=False,
        metadata=_said(
            "--no-llm", "flag", "Leave model-based scorers out.", EVALUATE_SKILL, kept=True
        ),
    )
    supersede: bool = field(
        default=False,
        metadata=_said(
            "--supersede",
            "flag",
            "Make verdicts of earlier runs on the same traces invalid.",
            EVALUATE_SKILL,
            kept=True,
        ),
    )
    allow_custom: bool = field(
        default=False,
        metadata=_said(
            "--allow-custom",
            "flag",
            "Let a manifest name package.module:function (it runs code).",
            *_BOTH,
        ),
    )
    allow_outside: bool = field(
        default=False,
        metadata=_said(
            "--allow-outside",
            "flag",
            "Let a trace_ref lead out of the skill's folder.",
            EVALUATE_SKILL,
        ),
    )
    run_name: str | None = field(
        default=None,
        metadata=_said(
            "--run-name", "text", "Name of the MLflow run.", EVALUATE_SKILL, metavar="NAME"
        ),
    )
    resume: str | None = field(
        default=None,
        metadata=_said(
            "--resume",
            "text",
            "Finish a run that was interrupted.",
            EVALUATE_SKILL,
            metavar="RUN_ID",
        ),
    )
    workers: int | None = field(
        default=None,
        metadata=_said(
            "--workers",
            "count",
            "Processes for many files [all cores].",
            TRACE_EVAL,
            metavar="N",
        ),
    )
    experiment: str | None = field(
        default=None,
        metadata=_said(
            "--experiment",
            "text",
            "MLflow experiment, by name or id.",
            *_BOTH,
            metavar="NAME_OR_ID",
            kept=True,
        ),
    )
    tracking_uri: str | None = field(
        default=None,
        metadata=_said(
            "--tracking-uri",
            "text",
            "MLflow tracking server or store. Default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db",
            *_BOTH,
            metavar="URI",
        ),
    )
    skills_dir: str | os.PathLike[str] | None = field(
        default=None,
        metadata=_said(
            "--skills-dir",
            "folder",
            "Where skills are [SKILLTRACE_SKILLS_DIR, else the nearest skills/ upward].",
            *_BOTH,
            metavar="DIR",
        ),
    )

    def __post_init__(self) -> None:
        for item, said in declared():
            value = getattr(self, item.name)
            if said.kind == "texts":  # one text is as good as a list of one
                texts = (value,) if isinstance(value, str) else tuple(value)
                object.__setattr__(self, item.name, texts)
            elif said.kind == "gates":
                object.__setattr__(self, item.name, dict(value or {}))
        for name in ("attempts", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"--{name} {value}: at least 1")
        if self.timeout is not None and not self.timeout > 0:
            raise ConfigurationError(f"--timeout {self.timeout:g}: more than 0 seconds")

    def of(self, door: Door) -> dict[str, Any]:
        """The options that this door takes, as its arguments."""
        return {item.name: getattr(self, item.name) for item, _ in declared(door)}

    def kept(self) -> dict[str, Any]:
        """The options that belong to what a run set out to do."""
        return {item.name: getattr(self, item.name) for item, said in declared() if said.kept}


def declared(door: Door | None = None) -> Iterable[tuple[Field[Any], Declared]]:
    """The fields of `EvaluationOptions` with their declarations: all, or those of one door."""
    for item in fields(EvaluationOptions):
        said: Declared = item.metadata["declared"]
        if door is None or door in said.doors:
            yield item, said
