"""An example for each public name of the package, shown in the reference and run by the tests.

They run in their order in one folder, as the blocks of a page do (`tests/docs/blocks.py`).
"""

from __future__ import annotations

__all__ = ["EXAMPLES", "NOT_RUN"]

NOT_RUN = {
    "claude_agent": "it needs the command `claude`; tests/agent runs it on a scripted model",
    "run_skill": "it needs the command `claude`; tests/agent runs it on a scripted model",
    "setup_autolog": "it installs MLflow's plugin from the network; tests/test_autolog.py runs it",
}

EXAMPLES = {
    "FileOperation": """\
from skilltrace_mlflow import FileOperation, parse_transcript

files: tuple[FileOperation, ...] = parse_transcript("session.jsonl").files
created = [file.file_path for file in files if file.type == "create"]
assert [path.rpartition("/")[2] for path in created] == ["bronze_orders.sql"]
""",
    "Session": """\
from skilltrace_mlflow import Session, parse_transcript

session: Session = parse_transcript("session.jsonl")
assert session.turns == 6
assert not session.incomplete
""",
    "TRACE_SCORER_MAP": """\
from skilltrace_mlflow import TRACE_SCORER_MAP

banned = TRACE_SCORER_MAP["banned_tools"]
feedback = banned(
    trace={"tools": {"by_name": {"WebFetch": 1}}}, expectations={"banned_tools": ["WebFetch"]}
)
assert feedback.value == "no"
""",
    "TokenUsage": """\
from skilltrace_mlflow import TokenUsage, parse_transcript

usage: TokenUsage = parse_transcript("session.jsonl").usage
assert usage.total_tokens == usage.input_tokens + usage.output_tokens == 1115
""",
    "ToolCall": """\
from skilltrace_mlflow import ToolCall, parse_transcript

calls: tuple[ToolCall, ...] = parse_transcript("session.jsonl").tool_calls
assert [call.name for call in calls][:3] == ["Skill", "Read", "Bash"]
assert calls[2].input["command"] == "ls pipelines"
""",
    "TraceEvent": """\
from skilltrace_mlflow import TraceEvent, compute_trace_summary

events = [TraceEvent(type="tool_call", name="Bash"), TraceEvent(type="tool_call", name="Read")]
assert compute_trace_summary(events).tool_calls_by_name == {"Bash": 1, "Read": 1}
""",
    "TraceMetrics": """\
from skilltrace_mlflow import TraceMetrics, parse_and_compute_metrics

metrics: TraceMetrics = parse_and_compute_metrics("session.jsonl")
assert metrics.total_tool_calls == 6
assert metrics.to_dict()["tools"]["by_name"]["Bash"] == 1
""",
    "TraceSummary": """\
from skilltrace_mlflow import TraceSummary, compute_trace_summary, parse_transcript

summary: TraceSummary = compute_trace_summary(parse_transcript("session.jsonl"))
assert summary.error_count == 0
""",
    "build_scorers": """\
from skilltrace_mlflow import build_scorers, load_manifest

scorers = build_scorers(load_manifest("skills/bronze-ingestion"), include_traces=True)
assert "banned_tools" in {scorer.name for scorer in scorers}
""",
    "claude_agent": """\
import mlflow
from skilltrace_mlflow import TRACE_SCORER_MAP, claude_agent

mlflow.genai.evaluate(  # each attempt needs the command `claude` and a key
    data=[{"inputs": {"prompt": "Create the bronze pipeline for orders"}}],
    predict_fn=claude_agent("skills/bronze-ingestion", max_usd=1),
    scorers=[TRACE_SCORER_MAP["banned_tools"]],
)
""",
    "compute_trace_summary": """\
from skilltrace_mlflow import compute_trace_summary

assert compute_trace_summary([]).event_count == 0
""",
    "evaluate_skill": """\
from skilltrace_mlflow import evaluate_skill

evaluation = evaluate_skill("skills/bronze-ingestion", include_traces=True, run_name="nightly")
assert evaluation.exit_code == 1  # one of the four recorded sessions went wrong
failed = [result.test_id for result in evaluation.results if result.verdict == "fail"]
assert failed == ["orders_create_gone_wrong"]
""",
    "to_dataset": """\
from skilltrace_mlflow import to_dataset

change = to_dataset("skills/bronze-ingestion", "bronze", experiment="Default")
print(change)  # what was added, changed and removed
""",
    "from_dataset": """\
from skilltrace_mlflow import from_dataset, to_dataset

to_dataset("skills/bronze-ingestion", "bronze", experiment="Default")
document = from_dataset("bronze", skill="bronze-ingestion")
assert "orders_create" in {case["id"] for case in document["test_cases"]}
""",
    "get_trace_from_mlflow": """\
import subprocess
from skilltrace_mlflow import get_trace_from_mlflow

subprocess.run("skilltrace-mlflow import session.jsonl --experiment sessions".split(), check=True)
metrics = get_trace_from_mlflow("a1406a64-abaa-5269-9136-c29d289e8dd4", experiment="sessions")
assert metrics.total_tool_calls == 6
""",
    "get_trace_scorers": """\
from skilltrace_mlflow import get_trace_scorers

names = [scorer.name for scorer in get_trace_scorers({"tool_limits": {"Bash": 3}})]
assert names == ["completion", "tool_count"]  # a session that was cut off is no pass
""",
    "load_manifest": """\
from skilltrace_mlflow import load_manifest

manifest = load_manifest("bronze-ingestion", skills_dir="skills")
assert manifest.name == "bronze-ingestion"
""",
    "load_ground_truth": """\
from skilltrace_mlflow import load_ground_truth

cases = load_ground_truth("skills/bronze-ingestion/ground_truth.yaml")
assert cases[0].inputs["prompt"]
""",
    "parse_and_compute_metrics": """\
from skilltrace_mlflow import parse_and_compute_metrics

assert parse_and_compute_metrics("session.jsonl").total_tokens == 1115
""",
    "parse_transcript": """\
from skilltrace_mlflow import parse_transcript

with open("session.jsonl") as lines:
    session = parse_transcript(lines)  # or the path itself
assert session.response.startswith("I created")
""",
    "run_skill": """\
from skilltrace_mlflow import run_skill
from skilltrace_mlflow.agent import RunOptions

run = run_skill(  # needs the command `claude` and a key
    "skills/bronze-ingestion", RunOptions(attempts=3, baseline=True, max_usd=5)
)
print(run.evaluation.exit_code)
""",
    "session_from_trace": """\
import mlflow
from skilltrace_mlflow import session_from_trace

(experiment,) = mlflow.search_experiments(filter_string="name = 'sessions'")
(trace,) = mlflow.search_traces(locations=[experiment.experiment_id], return_type="list")
assert [call.name for call in session_from_trace(trace).tool_calls][:2] == ["Skill", "Read"]
""",
    "setup_autolog": """\
from skilltrace_mlflow import setup_autolog

for change in setup_autolog("my-project", "sessions"):
    print(change)
""",
    "trace_eval": """\
from skilltrace_mlflow import trace_eval

evaluation = trace_eval("skills/bronze-ingestion", "session.jsonl", fail_under={"pass_rate": 1})
assert evaluation.exit_code == 0
for outcome in evaluation.results[0].judged:
    print(outcome.check, outcome.verdict, outcome.rationale)
""",
}
