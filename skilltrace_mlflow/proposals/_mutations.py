"""Sessions that went wrong in a known way, made from one that went right.

An expectation that none of them violates says nothing; `expect` keeps only those that at least one
does. Deterministic: the same session gives the same mutants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from skilltrace_mlflow.session import Ending, Session, ToolCall

__all__ = ["FORBIDDEN_COMMAND", "MUTATIONS", "mutants"]

FORBIDDEN_COMMAND = "rm -rf /tmp/everything"
# More mutants of one kind teach nothing, and a session can hold thousands of calls.
_MOST = 40


def mutants(session: Session) -> dict[str, list[Session]]:
    """Mutants of a session by the name of the mutation, at most forty of each kind."""
    return {
        name: [mutant for mutant, _ in zip(make(session), range(_MOST), strict=False)]
        for name, make in MUTATIONS.items()
    }


def _drop_call(session: Session) -> Iterator[Session]:
    """One call was never made."""
    for call in session.tool_calls:
        yield _without(session, {call.id})


def _drop_tool(session: Session) -> Iterator[Session]:
    """No call of one tool was made."""
    for name in dict.fromkeys(call.name for call in session.tool_calls):
        yield _without(session, {call.id for call in session.tool_calls if call.name == name})


def _swap_calls(session: Session) -> Iterator[Session]:
    """Two calls of different tools that followed each other came in the other order."""
    calls = session.tool_calls
    for index in range(len(calls) - 1):
        first, second = calls[index], calls[index + 1]
        if first.name != second.name:
            swapped = (
                replace(second, position=first.position, timestamp=first.timestamp),
                replace(first, position=second.position, timestamp=second.timestamp),
            )
            yield _with_calls(session, (*calls[:index], *swapped, *calls[index + 2 :]))


def _add_forbidden(session: Session) -> Iterator[Session]:
    """A command or a statement that deletes things was run."""
    last = session.tool_calls[-1] if session.tool_calls else None
    made = (
        ("Bash", {"command": FORBIDDEN_COMMAND}),
        ("mcp__databricks__execute_sql", {"query": "DROP DATABASE everything CASCADE"}),
    )
    for number, (name, arguments) in enumerate(made):
        call = ToolCall(
            id=f"toolu_mutation_{number}",
            name=name,
            input=arguments,
            outcome="succeeded",
            timestamp=last.timestamp if last else session.start_time,
            position=(last.position if last else 0) + 1,
        )
        yield _with_calls(session, (*session.tool_calls, call))


def _double_tokens(session: Session) -> Iterator[Session]:
    """Every answer took twice the tokens."""
    yield replace(
        session,
        steps=tuple(replace(step, usage=step.usage + step.usage) for step in session.steps),
        cost_usd=None if session.cost_usd is None else 2 * session.cost_usd,
        cache={},
    )


def _fail_call(session: Session) -> Iterator[Session]:
    """One call failed, and what it would have written or loaded is not there."""
    for call in session.tool_calls:
        if call.outcome != "succeeded":
            continue
        failed = replace(call, outcome="failed", outcome_reason="mutation")
        calls = tuple(failed if c.id == call.id else c for c in session.tool_calls)
        yield _with_calls(_without_effects(session, {call.id}), calls)


def _loop(session: Session) -> Iterator[Session]:
    """The calls of one tool were repeated: three times as many, and five more."""
    for name in dict.fromkeys(call.name for call in session.tool_calls):
        own = [call for call in session.tool_calls if call.name == name]
        extra = [
            replace(own[number % len(own)], id=f"{own[number % len(own)].id}_again_{number}")
            for number in range(2 * len(own) + 5)
        ]
        yield _with_calls(session, (*session.tool_calls, *extra))


def _cut_off(session: Session) -> Iterator[Session]:
    """The session was cut off where it had come to its end."""
    if session.ending.kind == "finished":
        yield replace(session, ending=Ending(kind="cut_off", text="mutation"), cache={})


MUTATIONS: Mapping[str, Callable[[Session], Iterator[Session]]] = {
    "drop a call": _drop_call,
    "drop a tool": _drop_tool,
    "swap two calls": _swap_calls,
    "add a forbidden call": _add_forbidden,
    "double the tokens": _double_tokens,
    "fail a call": _fail_call,
    "loop": _loop,
    "cut it off": _cut_off,
}
"""Name of each mutation and what makes its mutants, in the order of the table."""


def _with_calls(session: Session, calls: Iterable[ToolCall]) -> Session:
    # What checks derived from the original's calls must not be found in the mutant's.
    return replace(session, tool_calls=tuple(calls), cache={})


def _without(session: Session, ids: set[str]) -> Session:
    calls = (call for call in session.tool_calls if call.id not in ids)
    return _with_calls(_without_effects(session, ids), calls)


def _without_effects(session: Session, ids: set[str]) -> Session:
    return replace(
        session,
        files=tuple(operation for operation in session.files if operation.call_id not in ids),
        skills=tuple(use for use in session.skills if use.call_id not in ids),
        cache={},
    )
