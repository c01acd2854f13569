"""What a check of the response text is; it stands in the registry of all checks.

A response check is one module in this folder with a function decorated with `@response_check`. The
keys that it reads, their JSON Schemas, the MLflow scorer, the report's column and the reference
page follow from the registration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from skilltrace_mlflow.checks import (
    Example,
    Outcome,
    ParameterError,
    Spec,
    guarded,
    register,
    registered,
    unknown,
)
from skilltrace_mlflow.session import Session

__all__ = [
    "NO_RESPONSE",
    "TEXTS",
    "Response",
    "ResponseSpec",
    "all_responses",
    "mistakes",
    "response_check",
    "run_response",
    "texts",
]

NO_RESPONSE = "No response available"
# A blank text is contained in every response.
TEXTS: Mapping[str, Any] = {"type": "array", "items": {"type": "string", "pattern": r"\S"}}


def texts(about: str, *examples: str) -> dict[str, Any]:
    """The schema of a list of texts, with what it is about and what may stand in it."""
    shown = {"examples": [list(examples)]} if examples else {}
    item = {**TEXTS["items"], "description": "One of them."}
    return {**TEXTS, "items": item, "description": about, **shown}


KeyPath = tuple[str | int, ...]
P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class Response:
    """What an agent answered: the text, the test's `outputs`, the prompt, and the trace if any.

    `doubt` says why the text may not be the answer: it was taken from a record with gaps.
    """

    text: str | None = None
    doubt: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    session: Session | None = None


@dataclass(frozen=True, kw_only=True)
class ResponseSpec(Spec):
    """A check of the response.

    `parse` turns a test's expectations into parameters, None where nothing is expected; it raises
    ParameterError for what no schema can see. `keys` are the expectations it reads, with their JSON
    Schemas. `needs_text` checks are `unknown` without a response text. `listed` checks expect
    something of every response, so they run only where a manifest lists them or gates on them.
    `all_problems` names every mistake that no schema can see, where `parse` stops at the first.
    """

    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    needs_text: bool = True
    listed: bool = False
    all_problems: Callable[[Mapping[str, Any]], Iterator[tuple[KeyPath, str]]] | None = None

    @property
    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """The keys; several checks may read one."""
        return self.keys

    def problems(self, given: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
        """Path and message of the mistakes in keys whose shape is right."""
        if self.all_problems is not None:
            yield from self.all_problems(given)
            return
        yield from mistakes(self.parse, given)


def response_check(
    *,
    name: str,
    parse: Callable[[Mapping[str, Any]], P | None],
    keys: Mapping[str, Mapping[str, Any]] | None = None,
    examples: tuple[Example, ...] = (),
    graded: bool = False,
    needs_text: bool = True,
    listed: bool = False,
    all_problems: Callable[[Mapping[str, Any]], Iterator[tuple[KeyPath, str]]] | None = None,
) -> Callable[[Callable[[Response, P], Outcome]], Callable[[Response, P], Outcome]]:
    """Register a check of the response; the decorated function's docstring is the reference text.

    Raises ValueError for a name that is taken, or a key that another check describes otherwise.
    """

    def add(judge: Callable[[Response, P], Outcome]) -> Callable[[Response, P], Outcome]:
        register(
            ResponseSpec(
                name=name,
                parse=parse,
                judge=judge,
                summary=(judge.__doc__ or "").strip(),
                examples=examples,
                graded=graded,
                keys=keys or {},
                needs_text=needs_text,
                listed=listed,
                all_problems=all_problems,
            )
        )
        return judge

    return add


def all_responses() -> Mapping[str, ResponseSpec]:
    """Every response check by name, sorted."""
    return registered(ResponseSpec, "skilltrace_mlflow.responses")


def mistakes(parse: Callable[..., Any], *arguments: Any) -> Iterator[tuple[KeyPath, str]]:
    """Path and message of what `parse` refuses, nothing where it refuses nothing."""
    try:
        parse(*arguments)
    except ParameterError as error:
        yield error.path, str(error)


def run_response(spec: ResponseSpec, response: Response, parameters: Any) -> Outcome:
    """Judge one response; never raises for what a check or a response does."""
    if spec.needs_text and response.text is None:
        return replace(unknown(NO_RESPONSE), check=spec.name)
    if spec.needs_text and response.doubt is not None:
        return replace(unknown(response.doubt), check=spec.name)
    return guarded(spec.name, lambda: spec.judge(response, parameters))
