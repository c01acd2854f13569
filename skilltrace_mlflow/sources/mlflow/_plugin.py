"""Traces of MLflow's own Claude Code integrations: Stop hooks, plugin, Agent SDKs.

All of them hang `llm` and `tool_<Name>` spans below a root named `claude_code_conversation`;
`_generation` knows what each of them lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from skilltrace_mlflow.session import (
    MAIN_AGENT,
    CallOutcome,
    Ending,
    Message,
    ModelStep,
    SubAgent,
    TokenUsage,
    ToolCall,
)
from skilltrace_mlflow.sources.mlflow._build import ANSWER, CALL, PROMPT, STEP, Parts
from skilltrace_mlflow.sources.mlflow._generation import (
    AGENT_ID_TAG,
    SDK_TS,
    Generation,
    content_blocks,
    is_agent,
    is_llm,
    is_tool,
)
from skilltrace_mlflow.sources.mlflow._outcome import (
    agent_id_in,
    ending_by_stop_reason,
    ending_of_error,
    is_person,
    is_summary,
    outcome_of_text,
    result_text,
    stop_reason_of,
)
from skilltrace_mlflow.sources.mlflow._recover import quoted_calls, recover_messages
from skilltrace_mlflow.sources.mlflow._spans import (
    SYNTHETIC,
    agent_type,
    cost_of,
    difference,
    has_whole_usage,
    message_id,
    model_of,
    prompt_of,
    span_usage,
    without_cache,
)
from skilltrace_mlflow.sources.mlflow._wire import SpanView, TraceView, as_time
from skilltrace_mlflow.sources.mlflow.names import USAGE
from skilltrace_mlflow.sources.transcript._outcome import (
    MAYBE_REFUSED,
    classify_error,
    may_be_refusal,
    short_reason,
)
from skilltrace_mlflow.tools import starts_agent

__all__ = ["add_trace"]

_INTERRUPTED = "[Request interrupted"
# The root's length that the Python writers make up when the last line has no timestamp.
_DEFAULT_NS = 10_000_000_000


def add_trace(parts: Parts, trace: TraceView, generation: Generation) -> None:
    """Add one trace of the plugin family to the record."""
    reader = _Reader(parts, trace, generation)
    reader.read()


class _Reader:
    def __init__(self, parts: Parts, trace: TraceView, generation: Generation) -> None:
        self.parts = parts
        self.trace = trace
        self.generation = generation
        self.covered: set[str] = set()
        self.own_calls: list[ToolCall] = []
        self.own_inputs: dict[str, Any] = {}
        self.own_steps: dict[str, list[int]] = {}
        self.delegated = False
        self.asked: dict[str, tuple[Mapping[str, Any], int, str]] = {}
        self.last: tuple[int, SpanView, str] | None = None
        self.thought: dict[str, int] = {}
        self.root_agent = MAIN_AGENT
        self.prompt = None if trace.root is None else prompt_of(trace.root)
        self.flags = generation.flags and not self._contradicts_flags()
        root = trace.root
        self.has_sum = generation.root_usage and root is not None and has_whole_usage(root)

    def _contradicts_flags(self) -> bool:
        """Whether a failure stands in a result, and none is marked: then the writer marks none."""
        tools = [span for span in self.trace.spans if is_tool(span)]
        if any(span.exception is not None or span.status == "ERROR" for span in tools):
            return False
        texts = (outcome_of_text("", result_text(span.outputs)) for span in tools)
        return any(outcome == "failed" for outcome, _ in texts)

    def read(self) -> None:
        parts, trace, root = self.parts, self.trace, self.trace.root
        parts.note_state(trace)
        for span in trace.spans:
            if span.type is None:  # MLflow gives every span one
                parts.gap(f"trace {trace.id}: span {span.name or span.id} is damaged (type)")
        if root is None:  # detection asks for the root's name
            return
        agent = self.root_agent = self._root_agent(root)
        self._add_prompt(root, agent)
        if self.generation.quotes_messages:
            self._add_recovered(root, agent)
        self._walk([*trace.below(root), *trace.strays, *trace.orphans], agent)
        self._add_calls_without_span()
        self._add_ending(root, agent)
        self._add_root_usage(root, agent)
        self._judge_usage()
        self._add_times(root)
        self._add_facts(agent)

    def _root_agent(self, root: SpanView) -> str:
        agent_id = self.trace.tags.get(AGENT_ID_TAG)
        if not agent_id:
            return MAIN_AGENT
        kind = self.trace.tags.get("mlflow.claude_code.agent_type") or agent_type(root)
        self._add_subagent(
            agent_id,
            kind,
            prompt_of(root),
            self.trace.tags.get("mlflow.claude_code.parent_tool_use_id"),
            background=True,
        )
        return agent_id

    def _add_subagent(
        self,
        agent_id: str,
        kind: str | None,
        prompt: str | None,
        call: str | None,
        *,
        background: bool,
    ) -> None:
        known = self.parts.subagents.get(agent_id)
        if known is None:
            self.parts.subagents[agent_id] = SubAgent(
                id=agent_id, type=kind, prompt=prompt, parent_call_id=call, background=background
            )

    def _add_prompt(self, root: SpanView, agent: str) -> None:
        text = prompt_of(root)
        if text is not None and is_summary(text):
            self.parts.gap(
                f"trace {self.trace.id} begins behind a compaction: what its turn did before is "
                "not in it"
            )
        if agent != MAIN_AGENT or text is None or not is_person(text):
            return
        if self.parts.first("prompt", text, root.start_ns):
            message = Message(role="user", text=text, timestamp=self._time(root.start_ns))
            self.parts.messages.append((self.parts.place(root.start_ns, PROMPT), message))

    def _walk(self, spans: Iterable[SpanView], agent: str) -> None:
        for span in spans:
            below = self.trace.below(span)
            if is_tool(span):
                call = self._add_call(span, agent)
                nested = [child for child in below if is_agent(child)]
                for child in nested:
                    self._enter_agent(child, call)
                self._walk([child for child in below if child not in nested], agent)
            elif is_llm(span):
                self._add_llm(span, agent)
                self._walk(below, agent)
            elif is_agent(span):
                self._enter_agent(span, None)
            else:
                self._walk(below, agent)

    def _enter_agent(self, span: SpanView, call: ToolCall | None) -> None:
        given = span.inputs if isinstance(span.inputs, Mapping) else {}
        agent_id = (
            span.text("agent_id")
            or agent_id_in(call.result if call else None)
            or (call.id if call else span.id)
        )
        prompt = given.get("prompt")
        self._add_subagent(
            agent_id,
            span.text("subagent_type") or agent_type(span),
            prompt if isinstance(prompt, str) and prompt else None,
            call.id if call else None,
            background=False,
        )
        self._walk(self.trace.below(span), agent_id)

    def _add_call(self, span: SpanView, agent: str) -> ToolCall:
        name, own = span.text("tool_name"), span.name
        if name and own.startswith("tool_") and own != f"tool_{name}":
            self.parts.gap(
                f"trace {self.trace.id}: span {own} is of a call of {name}: one is wrong"
            )
        name = name or own.removeprefix("tool_") or "unknown"
        call_id = span.text("tool_id") or span.id
        inputs = span.inputs
        if self.own_inputs.setdefault(call_id, (name, inputs)) != (name, inputs):
            call_id = f"{call_id}#{span.id}"  # one id for several calls of one trace
        text = result_text(span.outputs)
        outcome, reason = self._outcome(span, name, text)
        duration = None
        if self.generation.durations and span.end_ns is not None:
            duration = (span.end_ns - span.start_ns) / 1e6
        call = ToolCall(
            id=call_id,
            name=name,
            input=inputs if isinstance(inputs, Mapping) else None,
            timestamp=self._time(span.start_ns),
            end_timestamp=as_time(span.end_ns) if self.generation.durations else None,
            outcome=outcome,
            outcome_reason=reason,
            agent=agent,
            duration_ms=duration,
            details=self._doubt(span, name, outcome, text),
            load_result=text,
        )
        if starts_agent(name):
            self.delegated = True
            if span.get("background") in (True, "true", "True"):
                self.parts.background[call_id] = span.text("agent_id") or agent_id_in(text)
        if self.parts.first("call", call_id):
            self.parts.calls.append((self.parts.place(span.start_ns, CALL), call))
            self.own_calls.append(call)
        elif outcome != "unknown":
            self._settle(call)
        self.thought.pop(agent, None)
        self._note_last(span, agent)
        return call

    def _add_calls_without_span(self) -> None:
        """Calls that stand in a model's answer only: they were made, whatever became of them."""
        lost = 0
        for call_id, (block, nanoseconds, agent) in self.asked.items():
            if call_id in self.own_inputs or not isinstance(block.get("name"), str):
                continue
            lost += 1
            given = block.get("input")
            call = ToolCall(
                id=call_id,
                name=block["name"],
                input=given if isinstance(given, Mapping) else None,
                timestamp=self._time(nanoseconds),
                outcome_reason="its tool span is not in the trace",
                agent=agent,
            )
            if self.parts.first("call", call_id):
                self.parts.calls.append((self.parts.place(nanoseconds, CALL), call))
                self.own_calls.append(call)
        if lost:
            self.parts.gap(f"trace {self.trace.id}: {lost} tool calls have no span of their own")

    def _note_last(self, span: SpanView, agent: str) -> None:
        if agent == self.root_agent and (self.last is None or span.start_ns >= self.last[0]):
            self.last = span.start_ns, span, agent

    def _add_ending(self, root: SpanView, agent: str) -> None:
        if agent == MAIN_AGENT:
            self.parts.ended(root.start_ns, self._ending(root))

    def _ending(self, root: SpanView) -> Ending:
        if self.trace.state == "IN_PROGRESS":
            return Ending(text="the trace is still in progress")
        error = ending_of_error(self.trace, root)
        if error is not None:
            return error
        if (prompt_of(root) or "").lstrip().startswith(_INTERRUPTED):
            return Ending(kind="interrupted", text="interrupted by the user")
        if self.last is None:
            return Ending(text="the trace holds no response")
        _, span, _ = self.last
        if is_tool(span):
            return ending_by_stop_reason("tool_use")
        texts = (block.get("text") for block in content_blocks(span))
        text = "\n".join(t for t in texts if isinstance(t, str))
        if model_of(span) == SYNTHETIC:
            if text.lstrip().startswith(_INTERRUPTED):
                return Ending(kind="interrupted", text="interrupted by the user")
            return Ending(kind="cut_off", text=short_reason(text) or "API error")
        if any(block.get("type") == "tool_use" for block in content_blocks(span)):
            return ending_by_stop_reason("tool_use")
        stop_reason = stop_reason_of(span)
        if stop_reason is None and self.generation is SDK_TS and self.has_sum:
            return Ending(kind="finished")  # its result came, and was no error
        return ending_by_stop_reason(stop_reason)

    def _settle(self, call: ToolCall) -> None:
        """A turn traced again may hold the result that its first trace came too early for."""
        for index, (place, known) in enumerate(self.parts.calls):
            if known.id == call.id and known.outcome == "unknown" and known.load_result is None:
                self.parts.calls[index] = (place, replace(call, agent=known.agent))

    def _outcome(self, span: SpanView, name: str, text: str | None) -> tuple[CallOutcome, str]:
        exception = span.exception
        if exception is not None or span.status == "ERROR":
            said = text or exception or span.status_message
            if text is None and span.status_message.lower() in ("interrupted", "aborted"):
                return "interrupted", span.status_message
            return classify_error(said or "")
        if not self.flags or text is None:
            return outcome_of_text(name, text)
        told = outcome_of_text(name, text)
        return told if told[0] != "unknown" else ("succeeded", "")

    def _doubt(
        self, span: SpanView, name: str, outcome: CallOutcome, text: str | None
    ) -> dict[str, bool]:
        """These traces drop the mark that newer versions of Claude Code leave on a refusal."""
        said = text or span.exception or span.status_message
        return {MAYBE_REFUSED: True} if outcome == "failed" and may_be_refusal(name, said) else {}

    def _add_llm(self, span: SpanView, agent: str) -> None:
        blocks = list(content_blocks(span))
        text = "\n".join(
            block["text"]
            for block in blocks
            if block.get("type") == "text" and isinstance(block.get("text"), str)
        )
        model = model_of(span)
        for block in (*blocks, *quoted_calls(span, self.prompt)):
            if block.get("type") == "tool_use" and isinstance(block.get("id"), str):
                self.asked.setdefault(block["id"], (block, span.start_ns, agent))
        self._note_last(span, agent)
        if model == SYNTHETIC:
            if text and self.parts.first("error", text, span.start_ns):
                self.parts.api_errors.append(text)
            return
        tools = [
            b["id"] for b in blocks if b.get("type") == "tool_use" and isinstance(b.get("id"), str)
        ]
        usage = span_usage(span)
        key = tuple(tools) or (agent, span.start_ns, text)
        new = self.parts.first("llm", key)
        if text.strip() and self.parts.first("answer", agent, span.start_ns, text):
            message = Message(
                role="assistant",
                text=text,
                timestamp=self._time(span.start_ns),
                agent=agent,
                id=span.id,
            )
            self.parts.messages.append((self.parts.place(span.start_ns, ANSWER), message))
        whole = has_whole_usage(span)
        if whole:
            self.covered.update(tools)
        if self.generation.quotes_messages or not new:
            return  # its step comes from the recovered messages, or from an earlier trace
        if self._continues_thought(agent, usage):
            return
        step = ModelStep(
            id=message_id(span) or span.id,
            model=model,
            timestamp=self._time(span.start_ns),
            agent=agent,
            usage=usage or TokenUsage(),
            usage_complete=whole or (self.has_sum and agent == MAIN_AGENT),
            stop_reason=stop_reason_of(span),
        )
        self._add_step(replace(step, cost_usd=cost_of(span, step)), span.start_ns)
        if (
            self.generation.root_usage
            and blocks
            and all(b.get("type") == "thinking" for b in blocks)
        ):
            self.thought[agent] = len(self.parts.steps) - 1

    def _continues_thought(self, agent: str, usage: TokenUsage | None) -> bool:
        """Whether the span before was this message's thinking: the Agent SDKs stream each block of
        a message by itself, and each with the message's usage.
        """
        index = self.thought.pop(agent, None)
        if index is None or usage is None:
            return False
        place, step = self.parts.steps[index]
        output = max(usage.output_tokens, step.usage.output_tokens)
        if replace(usage, output_tokens=output) != replace(step.usage, output_tokens=output):
            return False
        merged = replace(usage, output_tokens=output)
        self.parts.steps[index] = (place, replace(step, usage=merged))
        return True

    def _add_step(self, step: ModelStep, nanoseconds: int) -> None:
        if self.parts.first("step", step.id):
            self.own_steps.setdefault(step.agent, []).append(len(self.parts.steps))
            self.parts.steps.append((self.parts.place(nanoseconds, STEP), step))

    def _add_recovered(self, root: SpanView, agent: str) -> None:
        spans = [span for span in self.trace.spans if is_llm(span) and model_of(span) != SYNTHETIC]
        tool_starts = {
            tool_id: span.start_ns
            for span in self.trace.spans
            if is_tool(span) and (tool_id := span.text("tool_id"))
        }
        steps, covered = recover_messages(spans, prompt_of(root) or "", tool_starts, agent)
        self.covered.update(covered)
        for nanoseconds, step in steps:
            self._add_step(replace(step, timestamp=self._time(nanoseconds)), nanoseconds)

    def _add_root_usage(self, root: SpanView, agent: str) -> None:
        """The Agent SDKs sum the main agent's usage on the root: that sum holds, none is added."""
        if not self.generation.root_usage:
            return
        usage = span_usage(root)
        if usage is None or not self.has_sum:
            what = "no" if usage is None else "only half a"
            self.parts.usage_gap(
                f"{self.generation.name}: the root carries {what} sum of the usage"
            )
            return
        apart = without_cache(usage) if self.generation.cache_unsure else None
        if apart is not None:
            usage, most = apart, usage
            self._read_twice(root, agent, usage, most)
            return
        own = self.own_steps.get(agent, [])
        if not own:
            self._add_step(
                ModelStep(
                    id=root.id, timestamp=self._time(root.start_ns), agent=agent, usage=usage
                ),
                root.start_ns,
            )
            return
        have = sum((self.parts.steps[i][1].usage for i in own), TokenUsage())
        rest = difference(usage, have)
        last = own[-1]
        place, step = self.parts.steps[last]
        if rest is not None:
            self.parts.steps[last] = (place, replace(step, usage=step.usage + rest))
            return
        # One message in several spans (thinking apart from text) repeats its usage: trust the sum.
        for index in own:
            at, one = self.parts.steps[index]
            self.parts.steps[index] = (at, replace(one, usage=TokenUsage()))
        self.parts.steps[last] = (place, replace(step, usage=usage))

    def _read_twice(self, root: SpanView, agent: str, least: TokenUsage, most: TokenUsage) -> None:
        """A sum whose input may hold the cache or not: the smaller reading, and the larger."""
        own = self.own_steps.get(agent, [])
        if not own:
            step = ModelStep(id=root.id, timestamp=self._time(root.start_ns), agent=agent)
            self._add_step(step, root.start_ns)
            own = self.own_steps.get(agent, [])
        if own:
            place, step = self.parts.steps[own[-1]]
            read = replace(step, usage=least, usage_most=most, usage_complete=False)
            self.parts.steps[own[-1]] = (place, read)
        self.parts.step_gaps.append(
            f"{self.generation.name}: whether its {most.input_tokens:,} input tokens hold the "
            "cache (from MLflow 3.18 on) or not (before) cannot be told from the trace"
        )

    def _judge_usage(self) -> None:
        parts, name = self.parts, self.generation.name
        bare = [c for c in self.own_calls if c.id not in self.covered]
        if self.has_sum:
            # The root's sum covers the main agent's calls; sub-agents' are judged by their spans.
            uncovered = [c for c in bare if c.agent != MAIN_AGENT]
            if self.delegated and not self.generation.subagents:
                parts.usage_gap(f"{name}: the sum on the root leaves out sub-agents")
                parts.lacks("agents", f"{name} mixes sub-agents' calls with the main agent's")
        else:
            uncovered = bare
        if not self.generation.per_message and bare:
            parts.lacks("turns", f"{name} keeps no span of a message without text")
        unasked = [c for c in bare if c.agent == MAIN_AGENT and c.id not in self.asked]
        if self.generation.per_message and unasked:
            parts.lacks("turns", f"the response that asked for {unasked[0].name} has no span")
        if uncovered:
            parts.usage_gap(
                f"usage of the messages behind {len(uncovered)} tool calls is not recorded"
            )
        if not self.generation.cache_apart and self.own_steps:
            reason = f"{name} counts cache writes as input and drops cache reads"
            parts.usage_gap(reason)
            parts.lacks("cache_creation_tokens", reason)
            parts.lacks("cache_read_tokens", reason)
            if any(span.mapping(USAGE) is not None for span in self.trace.spans):
                # Not a lower bound of the input: a limit that it exceeds need not be exceeded.
                parts.lacks("input_tokens", reason)
                parts.lacks("total_tokens", reason)

    def _add_times(self, root: SpanView) -> None:
        start, end = as_time(root.start_ns), as_time(root.end_ns)
        if root.end_ns is not None and root.end_ns - root.start_ns == _DEFAULT_NS:
            last = max(
                (s.end_ns or s.start_ns for s in self.trace.spans if s is not root), default=0
            )
            end = as_time(last) or end
        if start is not None:
            self.parts.starts.append(start)
        if end is not None:
            self.parts.ends.append(end)

    def _add_facts(self, agent: str) -> None:
        parts, metadata = self.parts, self.trace.metadata
        parts.fact("version", metadata.get("mlflow.claude_code_version"))
        if agent == MAIN_AGENT:
            parts.fact("permission_mode", metadata.get("mlflow.trace.permission_mode"))
        directory = metadata.get("mlflow.trace.working_directory")
        if directory and (self.generation.own_directory or self._works_in(directory)):
            parts.fact("cwd", directory)
        own = [self.parts.steps[i][1].cost_usd for o in self.own_steps.values() for i in o]
        if self.generation.whole_cost and own and None not in own:
            parts.costs.append(math.fsum(cost for cost in own if cost is not None))
        else:
            parts.costs.append(None)

    def _works_in(self, directory: str) -> bool:
        """Whether some file that was touched lies in the directory: process_transcript writes down
        its own process's, which is the session's only where it ran as its hook.
        """
        inside = directory.rstrip("/\\")
        paths = (
            value
            for call in self.own_calls
            for key, value in (call.input or {}).items()
            if key in ("file_path", "notebook_path", "path") and isinstance(value, str)
        )
        return any(path.startswith((inside + "/", inside + "\\")) for path in paths)

    def _time(self, nanoseconds: int) -> Any:
        return as_time(nanoseconds) if self.generation.times else None
