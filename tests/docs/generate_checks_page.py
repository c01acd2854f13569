"""Write docs/checks.md from the registered checks: `python -m tests.docs.generate_checks_page`.

With `--check` nothing is written; the exit code says whether the page is current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from skilltrace_mlflow.checks import CheckSpec, Example, Spec, all_checks
from skilltrace_mlflow.responses import ResponseSpec, all_responses

__all__ = ["PAGE", "render"]

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"

_ORDER = (
    "tool_count",
    "token_budget",
    "required_tools",
    "banned_tools",
    "file_existence",
    "tool_sequence",
    "category_limits",
    "tool_trajectory",
    "expected_messages",
)
_HEAD = """\
# Checks

<!-- Generated from the registered checks by `python -m tests.docs.generate_checks_page`. -->

Every key below stands in `trace_expectations` of a skill's `manifest.yaml`, in the `expectations` \
of a test case in `ground_truth.yaml`, or in the `expectations` of a scorer. Each example on this \
page is run by the test suite.

## What holds for all of them

- **Tools** are named exactly (`Read`), by a glob (`mcp__databricks__*`), or by a permission rule \
as Claude Code writes it (`Bash(git push:*)`, `Read(./secrets/**)`, \
`WebFetch(domain:example.com)`, `mcp__databricks`). `Task` and `Agent` are one tool.
- **Scope.** `scope: all | main | subagents` beside the other keys says whose calls count; without \
it everybody's do. A list gets it in the long form: `{tools: [Read], scope: main}`.
- **Outcomes.** A call succeeded, failed, was denied, was interrupted, or nothing shows how it \
ended. A call counts as made whatever came of it, unless a check says otherwise.
- **Missing evidence is `unknown`**, never a pass: arguments that were not recorded, usage that is \
a lower bound, lines that could not be read. What is there still counts, so a ban that was broken \
fails all the same.
- **A pass needs work that was done.** Where the record holds no response of a model (a prompt and \
an API error, a trace without a model's span), every check is `unknown` and says what it holds \
instead. A session that was cut off is no pass: [`completion`](#completion) judges every session.
- **`threshold`** lowers the share at which a check passes; it is 1 unless written.
- **Bans add up.** A test case can add to a ban of its manifest, not lift it; `ban_exceptions` \
names the ones that do not hold.
- **Values** in expected inputs and outputs are compared as JSON (`true` is not `1`, `1` is `1.0`) \
or by matchers: `{$regex: …}`, `{$glob: …}`, `{$contains: …}`, `{$one_of: […]}`, \
`{$gt|$ge|$lt|$le: n}`, `{$any: true}`, `{$absent: true}`, `{$eq: …}`.

"""

_RESPONSES = """\
## Checks of the response

They judge the text of the answer (and, for routing, which skills the trace shows loaded). Their \
keys stand in the `expectations` of a test case. Without a response, or where the text may not be \
the answer because its record has gaps, a check of the text is `unknown`.

"""


def render() -> str:
    """The whole page."""
    specs = all_checks()
    names = [*_ORDER, *(name for name in specs if name not in _ORDER)]
    table = ["| key | check | passes when |", "|---|---|---|"]
    for name in names:
        spec = specs[name]
        table.append(f"| [`{spec.key}`](#{spec.key}) | `{name}` | {_first_sentence(spec)} |")
    traces = "\n".join(_section(specs[name]) for name in names)
    return _HEAD + "\n".join(table) + "\n\n" + traces + "\n" + _responses()


def _responses() -> str:
    """The part on checks of the response text."""
    table = ["| keys | check | passes when |", "|---|---|---|"]
    for name, spec in all_responses().items():
        keys = ", ".join(f"`{key}`" for key in spec.keys) or "none"
        table.append(f"| {keys} | [`{name}`](#{name}) | {_first_sentence(spec)} |")
    sections = "\n".join(_response_section(spec) for spec in all_responses().values())
    return _RESPONSES + "\n".join(table) + "\n\n" + sections


def _section(spec: CheckSpec) -> str:
    lines = [f"## {spec.key}", "", f"Check `{spec.name}`{_kind(spec)}.", ""]
    lines += [" ".join(part.split()) for part in _paragraphs(spec.summary)]
    lines += ["", *_parameters(spec), ""]
    for example in spec.examples:
        lines += _example({spec.key: example.value}, example)
    return "\n".join(lines)


def _response_section(spec: ResponseSpec) -> str:
    runs = "runs where a manifest lists it or gates on it" if spec.listed else "always runs"
    if spec.keys and not spec.listed:
        runs = "runs where a test has one of its keys"
    graded = "A score" if spec.graded else "Yes or no"
    lines = [f"### {spec.name}", "", f"{graded}; {runs}.", ""]
    lines += [" ".join(part.split()) for part in _paragraphs(spec.summary)]
    lines += [""]
    if spec.keys:
        lines += ["| key | meaning |", "|---|---|"]
        lines += [f"| `{key}` | {_explained(schema)} |" for key, schema in spec.keys.items()]
        lines += [""]
    for example in spec.examples:
        lines += _example(example.value, example)
    return "\n".join(lines)


def _paragraphs(text: str) -> Iterator[str]:
    for number, part in enumerate(text.split("\n\n")):
        if number:
            yield ""
        yield part


def _kind(spec: CheckSpec) -> str:
    parts = [", a score" if spec.graded else ", yes or no"]
    if not spec.scoped:
        parts.append(", always of the whole session")
    if spec.companions:
        parts.append("; reads " + ", ".join(f"`{key}`" for key in spec.companions) + " too")
    return "".join(parts)


def _first_sentence(spec: Spec) -> str:
    text = " ".join(spec.summary.split())
    return text.split(". ")[0].split("; ")[0].rstrip(".")


def _parameters(spec: CheckSpec) -> list[str]:
    found = ["| value | meaning |", "|---|---|"]
    forms = [spec.schema] if "properties" in spec.schema else spec.schema.get("anyOf", [])
    for form in forms or [spec.schema]:
        if form.get("type") == "object":
            required = form.get("required", [])
            for key, schema in form["properties"].items():
                mark = " (required)" if key in required else ""
                found.append(f"| `{key}`{mark} | {_explained(schema)} |")
            more = form.get("additionalProperties")
            if isinstance(more, Mapping):
                found.append(f"| *name* | {_explained(more, form.get('each'))} |")
        elif "type" in form or "enum" in form:
            found.append(f"| *itself* | {_explained(form)} |")
    return list(dict.fromkeys(found))


_SHORT = 20


def _explained(schema: Mapping[str, Any], each: str | None = None) -> str:
    """Which values there are, and what they mean."""
    told = [schema.get("description", "")]
    entry = each or schema.get("items", {}).get("description", "")
    if len(entry) > _SHORT:  # `A rule.` says nothing that the key does not
        told.append(f"{'Name' if each else 'Each'}: {entry[0].lower()}{entry[1:]}")
    text = " ".join(part for part in told if part)
    return f"{_describe(schema)}: {text}" if text else _describe(schema)


def _describe(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{item}`" for item in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_describe(form) for form in schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_describe(schema['items'])}"
    if kind == "object":
        keys = ", ".join(f"`{key}`" for key in schema.get("properties", {}))
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping):
            return f"mapping of names to {_describe(more)}"
        return f"mapping with {keys}" if keys else "mapping"
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if key in schema
    ]
    name = {"string": "text", "boolean": "true or false"}.get(str(kind), str(kind or "any value"))
    return " ".join([name, *bounds])


def _example(written: Mapping[str, Any], example: Example) -> list[str]:
    text = yaml.safe_dump(dict(written), sort_keys=False, allow_unicode=True, width=90).rstrip()
    return [
        f"**{str(example.verdict).capitalize()}**: {example.why}.",
        "",
        *(["```yaml", text, "```", ""] if written else []),
        *[f"- {line}" for line in _session(example)],
        "",
    ]


def _session(example: Example) -> Iterator[str]:
    for call in example.calls:
        parts = [f"`{call['name']}`"]
        if call.get("input"):
            parts.append(f"`{_flow(call['input'])}`")
        if "outcome" in call:
            parts.append(str(call["outcome"]))
        if "result" in call:
            parts.append(f"result `{call['result']}`")
        yield "call " + " ".join(parts)
    if example.response is not None:
        yield "response `" + " ".join(example.response.replace("`", "'").split()) + "`"
    for key, value in (*example.session.items(), *example.outputs.items()):
        yield f"{key} `{_flow(value)}`"


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(
        _plain(value), default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000
    )
    return text.strip().removesuffix("...").strip()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        shown = {f.name: getattr(value, f.name) for f in fields(value) if f.repr}
        return {key: _plain(item) for key, item in shown.items() if item}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def main() -> int:
    """Write the page, or check it."""
    text = render()
    if "--check" in sys.argv[1:]:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        if not current:
            sys.stderr.write("docs/checks.md is stale: python -m tests.docs.generate_checks_page\n")
        return 0 if current else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
