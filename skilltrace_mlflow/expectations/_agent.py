"""The manifest's `agent:` block: how `run` starts the agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["AGENT_SCHEMA"]

_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": ["string", "array", "null"], "items": _TEXT}
_FILE = {
    "type": ["string", "object", "null"],
    "minLength": 1,
    "description": "A JSON file, relative to the manifest, or its content.",
}

AGENT_SCHEMA: Mapping[str, Any] = {
    "type": ["object", "null"],
    "description": "How `run` starts the agent; options of the command line override it.",
    "properties": {
        "model": {"type": ["string", "null"], "minLength": 1},
        "max_turns": {"type": ["integer", "null"], "minimum": 1},
        "permission_mode": {
            "enum": [
                "acceptEdits",
                "auto",
                "bypassPermissions",
                "default",
                "dontAsk",
                "manual",
                "plan",
                None,
            ],
            "description": "Default acceptEdits: the workspace is a copy.",
        },
        "allowed_tools": {**_TEXTS, "description": "Permission rules, as `Bash(git *)`."},
        "disallowed_tools": {**_TEXTS, "description": "Permission rules that deny."},
        "mcp_config": _FILE,
        "settings": _FILE,
        "env": {
            "type": ["array", "object", "null"],
            "items": _TEXT,
            "additionalProperties": {"type": ["string", "number", "null"]},
            "description": "Names of variables that pass through, or values by name (null passes).",
        },
        "workspace": {
            "type": ["string", "null"],
            "minLength": 1,
            "description": "A folder, relative to the manifest, copied for each attempt.",
        },
        "setup": {**_TEXTS, "description": "Shell commands in the workspace, before."},
        "teardown": {**_TEXTS, "description": "Shell commands in the workspace, after."},
        "timeout": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "skills": {**_TEXTS, "description": "Folders of skills that are offered beside this one."},
        "bundled_skills": {
            "type": ["boolean", "null"],
            "description": "false leaves out the skills that Claude Code brings along.",
        },
        "git": {"type": ["boolean", "null"], "description": "Make the workspace a repository."},
    },
    "additionalProperties": False,
}
