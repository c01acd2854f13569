"""A tiny MCP server over stdio that plays the `databricks` server of the recordings.

Standard library only, because it is copied into the recorded working area and started
there by the CLI with whatever `python3` it finds.
"""

from __future__ import annotations

import json
import sys
from typing import Any

TOOLS: list[dict[str, Any]] = [
    {
        "name": "execute_sql",
        "description": "Run one SQL statement on a warehouse and return its rows.",
        "inputSchema": {
            "type": "object",
            "properties": {"query": {"type": "string"}, "warehouse_id": {"type": "string"}},
            "required": ["query"],
        },
    },
    {
        "name": "create_pipeline",
        "description": "Create a declarative pipeline from SQL or Python files.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "libraries": {"type": "array", "items": {"type": "string"}},
                "catalog": {"type": "string"},
                "schema": {"type": "string"},
            },
            "required": ["name", "libraries"],
        },
    },
]


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer one tool call; a query on a missing table and an unknown catalog are errors."""
    if name == "execute_sql":
        query = str(arguments.get("query", ""))
        if "missing" in query or "ordrs" in query:
            return _text("[TABLE_OR_VIEW_NOT_FOUND] The table or view cannot be found.", error=True)
        if query.upper().lstrip().startswith("EXPLAIN"):
            return _text("== Physical Plan ==\nStreamingTable bronze (1 source, 0 warnings)")
        return _text(json.dumps({"columns": ["n"], "rows": [[3]], "row_count": 1}))
    if name == "create_pipeline":
        if arguments.get("catalog") == "prod":
            return _text("PERMISSION_DENIED: User lacks CREATE on catalog 'prod'.", error=True)
        return _text(json.dumps({"pipeline_id": "7d3c0f52", "name": arguments.get("name")}))
    return _text(f"unknown tool: {name}", error=True)


def answer(request: dict[str, Any]) -> dict[str, Any] | None:
    """The result for one JSON-RPC request; None for a notification."""
    method, params = request.get("method"), request.get("params") or {}
    if "id" not in request:
        return None
    if method == "initialize":
        return {
            "protocolVersion": params.get("protocolVersion", "2024-11-05"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "databricks", "version": "1.0.0"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return call(str(params.get("name")), params.get("arguments") or {})
    return {}


def main() -> None:
    """Read one JSON-RPC message per line from standard input, write answers to output."""
    for line in sys.stdin:
        if not line.strip():
            continue
        request = json.loads(line)
        result = answer(request)
        if result is not None:
            reply = {"jsonrpc": "2.0", "id": request["id"], "result": result}
            sys.stdout.write(json.dumps(reply) + "\n")
            sys.stdout.flush()


def _text(text: str, *, error: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": error}


if __name__ == "__main__":
    main()
