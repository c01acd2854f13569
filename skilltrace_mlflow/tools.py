"""Claude Code's own tools: what each does, where its path stands, and what it was called before.

One row a name, older names included: a record may hold either, and a rule or a limit written for
one is meant for the other. The renamings are the CLI's own table (2.1.332: `Task` is `Agent`,
`KillShell` and `KillBash` are `TaskStop`, ...); `BashOutput` and `AgentOutputTool` became
`TaskOutput` in 2.1. `TodoWrite` was divided up rather than renamed (`successors`).

Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "EDITORS",
    "MCP_PREFIX",
    "NEEDED",
    "PATH_KEYS",
    "READERS",
    "SHELLS",
    "TOOLS",
    "Tool",
    "current_name",
    "is_shell",
    "loads_skill",
    "names_of",
    "starts_agent",
    "starts_agents",
    "tool_category",
]

Category = Literal["agent", "bash", "file_ops", "other", "planning", "skill", "web"]

MCP_PREFIX = "mcp__"
"""Tools of MCP servers are named `mcp__<server>__<tool>`."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One name of a tool.

    `now` is today's name where it was renamed, `successors` the tools that took over its work.
    `path` is the argument that names a file or folder. `reads` and `writes` are about files,
    `line` about tools that run the command line in `command`, `agents` about tools that start
    sub-agents, `skill` about tools that load a skill.
    """

    name: str
    category: Category = "other"
    now: str | None = None
    successors: tuple[str, ...] = ()
    path: str | None = None
    reads: bool = False
    writes: bool = False
    line: bool = False
    agents: bool = False
    skill: bool = False


_ROWS = (
    Tool(name="Bash", category="bash", line=True),
    Tool(name="PowerShell", category="bash", line=True),
    Tool(name="Monitor", category="bash", line=True),
    Tool(name="BashOutput", category="bash", now="TaskOutput"),
    Tool(name="KillShell", category="bash", now="TaskStop"),
    Tool(name="KillBash", category="bash", now="TaskStop"),
    Tool(name="Read", category="file_ops", path="file_path", reads=True),
    Tool(name="NotebookRead", category="file_ops", path="notebook_path", reads=True),
    Tool(name="Glob", category="file_ops", path="path", reads=True),
    Tool(name="Grep", category="file_ops", path="path", reads=True),
    Tool(name="LS", category="file_ops", path="path", reads=True),
    Tool(name="Edit", category="file_ops", path="file_path", writes=True),
    Tool(name="Write", category="file_ops", path="file_path", writes=True),
    Tool(name="MultiEdit", category="file_ops", path="file_path", writes=True),
    Tool(name="NotebookEdit", category="file_ops", path="notebook_path", writes=True),
    Tool(name="WebFetch", category="web"),
    Tool(name="WebSearch", category="web"),
    Tool(name="Agent", category="agent", agents=True),
    Tool(name="Task", category="agent", now="Agent", agents=True),
    Tool(name="Workflow", category="agent", agents=True),
    Tool(name="RunWorkflow", category="agent", now="Workflow", agents=True),
    Tool(name="SendMessage", category="agent"),
    Tool(name="ListAgents", category="agent"),
    Tool(name="ListPeers", category="agent", now="ListAgents"),
    Tool(name="TaskOutput", category="agent"),
    Tool(name="AgentOutputTool", category="agent", now="TaskOutput"),
    Tool(name="AgentOutput", category="agent", now="TaskOutput"),
    Tool(name="BashOutputTool", category="bash", now="TaskOutput"),
    Tool(name="TaskStop", category="agent"),
    Tool(name="Skill", category="skill", skill=True),
    Tool(name="SlashCommand", category="skill"),
    Tool(
        name="TodoWrite",
        category="planning",
        successors=("TaskCreate", "TaskUpdate", "TaskGet", "TaskList"),
    ),
    Tool(name="TodoRead", category="planning", successors=("TaskGet", "TaskList")),
    Tool(name="TaskCreate", category="planning"),
    Tool(name="TaskUpdate", category="planning"),
    Tool(name="TaskGet", category="planning"),
    Tool(name="TaskList", category="planning"),
    Tool(name="EnterPlanMode", category="planning"),
    Tool(name="ExitPlanMode", category="planning"),
    Tool(name="exit_plan_mode", category="planning", now="ExitPlanMode"),
    Tool(name="SendUserMessage"),
    Tool(name="Brief", now="SendUserMessage"),
    Tool(name="ListMcpResourcesTool"),
    Tool(name="ListMcpResources", now="ListMcpResourcesTool"),
    Tool(name="ReadMcpResourceTool"),
    Tool(name="ReadMcpResource", now="ReadMcpResourceTool"),
    Tool(name="ReadMcpResourceDirTool"),
    Tool(name="ReadMcpResourceDir", now="ReadMcpResourceDirTool"),
    Tool(name="SetGoal"),
    Tool(name="ProposeGoal", now="SetGoal"),
    Tool(name="REPL"),
    Tool(name="Eval", now="REPL"),
)

TOOLS = {tool.name: tool for tool in _ROWS}
"""Every name, today's and older ones."""

READERS = tuple(tool.name for tool in _ROWS if tool.reads)
"""Names of the tools that read files or look for them."""

EDITORS = tuple(tool.name for tool in _ROWS if tool.writes)
"""Names of the tools that create or change files."""

SHELLS = tuple(tool.name for tool in _ROWS if tool.line)
"""Names of the tools that run a command line."""

PATH_KEYS = tuple(dict.fromkeys(tool.path for tool in _ROWS if tool.path is not None))
"""The arguments that name a path, in whatever tool."""

NEEDED: Mapping[str, str] = {
    **{
        tool.name: tool.path
        for tool in _ROWS
        if tool.path in ("file_path", "notebook_path") and (tool.reads or tool.writes)
    },
    **{tool.name: "command" for tool in _ROWS if tool.line and tool.name != "Monitor"},
}
"""The argument without which a tool refuses a call: its file, or its command line."""

_NONE = Tool(name="")
_NAMES: dict[str, tuple[str, ...]] = {}
for _tool in _ROWS:
    _now = _tool.now or _tool.name
    _NAMES[_now] = (*_NAMES.get(_now, ()), _tool.name)


def current_name(name: str) -> str:
    """Today's name of the tool; a name that is in no table is its own."""
    return TOOLS.get(name, _NONE).now or name


def names_of(name: str) -> tuple[str, ...]:
    """All names of the tool of that name, itself included; today's and older ones are one tool."""
    return _NAMES.get(current_name(name), (name,))


def starts_agent(name: str) -> bool:
    """Whether a call of that tool starts one sub-agent."""
    return current_name(name) == "Agent"


def starts_agents(name: str) -> bool:
    """Whether a call of that tool starts sub-agents: one, or as many as a script says."""
    return TOOLS.get(name, _NONE).agents


def is_shell(name: str) -> bool:
    """Whether the tool runs a command line."""
    return TOOLS.get(name, _NONE).line


def loads_skill(name: str) -> bool:
    """Whether the tool loads a skill."""
    return TOOLS.get(name, _NONE).skill


def tool_category(name: str) -> str:
    """Category of a tool: `bash`, `file_ops`, `mcp_<server>`, `web`, `agent`, `skill`, `planning`
    or `other`.
    """
    if name.startswith(MCP_PREFIX):
        return "mcp_" + name[len(MCP_PREFIX) :].split("__", 1)[0]
    return TOOLS.get(name, _NONE).category
