"""The manifest's `agent:` block: how `run` starts the agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["AGENT_SCHEMA"]

_TEXT = {"type": "string", "minLength": 1}


def _texts(about: str, *examples: str) -> dict[str, Any]:
    return {
        "type": ["string", "array", "null"],
        "items": {**_TEXT, "description": "One of several."},
        "description": about,
        "examples": [list(examples)],
    }


def _file(about: str, example: str) -> dict[str, Any]:
    return {
        "type": ["string", "object", "null"],
        "minLength": 1,
        "description": f"{about}: a JSON file, relative to the manifest, or its content.",
        "examples": [example],
    }


AGENT_SCHEMA: Mapping[str, Any] = {
    "type": ["object", "null"],
    "description": "How `run` starts the agent; options of the command line override it.",
    "properties": {
        "model": {
            "type": ["string", "null"],
            "minLength": 1,
            "description": "The model; default Claude Code's own choice.",
            "examples": ["sonnet"],
        },
        "max_turns": {
            "type": ["integer", "null"],
            "minimum": 1,
            "description": "Responses after which it is stopped.",
            "examples": [30],
        },
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
        "allowed_tools": _texts("Permission rules that allow.", "Bash(git *)"),
        "disallowed_tools": _texts("Permission rules that deny.", "WebSearch"),
        "mcp_config": _file("MCP servers", "mcp.json"),
        "settings": _file("Settings of Claude Code", "settings.json"),
        "env": {
            "type": ["array", "object", "null"],
            "items": {
                **_TEXT,
                "description": "A variable that passes through.",
                "examples": ["DATABRICKS_HOST"],
            },
            "additionalProperties": {
                "type": ["string", "number", "null"],
                "description": "The variable's value; null passes it through.",
                "examples": ["https://example.cloud.databricks.com"],
            },
            "description": "Names of variables that pass through, or values by name (null passes).",
            "examples": [["DATABRICKS_HOST"], {"LOG_LEVEL": "debug"}],
        },
        "workspace": {
            "type": ["string", "null"],
            "minLength": 1,
            "description": "A folder, relative to the manifest, copied for each attempt.",
            "examples": ["workspace"],
        },
        "setup": _texts("Shell commands in the workspace, before.", "npm ci"),
        "teardown": _texts("Shell commands in the workspace, after.", "docker compose down"),
        "timeout": {
            "type": ["number", "null"],
            "exclusiveMinimum": 0,
            "description": "Seconds after which an attempt is stopped.",
            "examples": [600],
        },
        "skills": _texts("Folders of skills that are offered beside this one.", "../other-skill"),
        "bundled_skills": {
            "type": ["boolean", "null"],
            "description": "false leaves out the skills that Claude Code brings along.",
        },
        "git": {"type": ["boolean", "null"], "description": "Make the workspace a repository."},
    },
    "additionalProperties": False,
}
