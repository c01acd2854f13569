"""Extract from the bundle's JSON Schema (`databricks bundle schema`) the part that a test needs.

    python tests/data/bundle/extract_schema.py FULL_SCHEMA.json

Keeps every definition that is reachable once resources are narrowed to RESOURCES, drops
descriptions, and rewrites the `\\p{L}` and `\\p{N}` classes that Python's `re` does not know.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TEXTS = (
    "description",
    "markdownDescription",
    "deprecationMessage",
    "doNotSuggest",
    "markdownExamples",
)
ROOT = ("artifacts", "bundle", "include", "resources", "sync", "targets", "variables", "workspace")
RESOURCES = ("alerts", "dashboards", "jobs")


def strip(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: strip(value)
            for key, value in node.items()
            if not (key in TEXTS and isinstance(value, str | bool))
        }
    if isinstance(node, list):
        return [strip(item) for item in node]
    if isinstance(node, str):
        return node.replace("\\p{L}", "A-Za-z").replace("\\p{N}", "0-9")
    return node


def lookup(schema: dict[str, Any], reference: str) -> dict[str, Any]:
    node: Any = schema
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return found.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(item) for item in node)) if node else set()
    return set()


def extract(schema: dict[str, Any]) -> dict[str, Any]:
    schema = strip(schema)
    schema["properties"] = {name: schema["properties"][name] for name in ROOT}
    resources = lookup(schema, schema["properties"]["resources"]["$ref"])
    known = resources["oneOf"][0]["properties"]
    resources["oneOf"][0]["properties"] = {name: known[name] for name in RESOURCES}
    wanted: set[str] = set()
    open_ends = references(schema["properties"])
    while open_ends:
        reference = open_ends.pop()
        wanted.add(reference)
        open_ends |= references(lookup(schema, reference)) - wanted
    made = {key: schema[key] for key in ("type", "properties", "additionalProperties")}
    made["$defs"] = {}
    for reference in sorted(wanted):
        *parents, last = reference.removeprefix("#/$defs/").split("/")
        node = made["$defs"]
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = lookup(schema, reference)
    return made


if __name__ == "__main__":
    full = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    target = Path(__file__).with_name("schema.json")
    target.write_text(json.dumps(extract(full), indent=1, sort_keys=True) + "\n", encoding="utf-8")
