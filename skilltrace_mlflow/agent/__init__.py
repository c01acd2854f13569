"""Running Claude Code on a skill's prompts, and what it leaves behind.

`protocol` says what an agent is, `claude` and `replay` are two; `_place` makes their workspaces.
"""

from skilltrace_mlflow.agent.claude import ClaudeAgent
from skilltrace_mlflow.agent.options import AgentOptions, agent_options
from skilltrace_mlflow.agent.predict import claude_agent
from skilltrace_mlflow.agent.protocol import Agent, Run, Task
from skilltrace_mlflow.agent.replay import ReplayAgent
from skilltrace_mlflow.agent.run_skill import RunOptions, SkillRun, run_skill

__all__ = [
    "Agent",
    "AgentOptions",
    "ClaudeAgent",
    "ReplayAgent",
    "Run",
    "RunOptions",
    "SkillRun",
    "Task",
    "agent_options",
    "claude_agent",
    "run_skill",
]
