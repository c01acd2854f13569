"""`import`: once each, replaced when grown, nested, priced, redacted, and refused where it must."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import mlflow
import pytest
from click.testing import CliRunner
from mlflow.entities import Trace

from skilltrace_mlflow.cli.import_ import command as import_command
from skilltrace_mlflow.cli.list_traces import command as list_command
from skilltrace_mlflow.errors import ConfigurationError, EvaluationError, InputError
from skilltrace_mlflow.importing import import_transcripts
from skilltrace_mlflow.importing.run import ImportReport
from skilltrace_mlflow.importing.turns import split_turns
from skilltrace_mlflow.pricing import session_cost
from skilltrace_mlflow.session import Message, ModelStep, Session, TokenUsage
from skilltrace_mlflow.sources.mlflow import _generation as _trace_generation
from skilltrace_mlflow.sources.mlflow import store as mlflow_store
from skilltrace_mlflow.sources.mlflow._wire import read_trace
from skilltrace_mlflow.sources.mlflow.names import (
    SKILL_TAG,
    TEST_TAG,
    TURN_ATTRIBUTE,
    judged_tags,
    said_skill,
    said_test,
)
from skilltrace_mlflow.sources.mlflow.trace import session_from_trace
from skilltrace_mlflow.sources.transcript.reader import parse_transcript
from tests.builders import START, make_call, make_session
from tests.driver.stores import free_port
from tests.sources.lines import assistant, entry, result, tool, user, write_lines
from tests.sources.shapes import START as TRACED
from tests.sources.shapes import Turn, usage

RECORDINGS = Path(__file__).parent.parent / "data" / "recordings"


def recording(name: str) -> Path:
    (path,) = (RECORDINGS / name).glob("*.jsonl")
    return path


def traces(uri: str, experiment: str = "traces") -> list[Trace]:
    found = mlflow_store.search_experiment_traces(experiment, tracking_uri=uri)
    return sorted(found, key=lambda t: int(t.info.tags["skilltrace.turn"]))


def spans(trace: Trace, prefix: str) -> list[Any]:
    return [span for span in trace.data.spans if span.name.startswith(prefix)]


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Path, list[bytes]]:
    """A two-turn transcript that holds its first turn only, and the lines to come."""
    path = recording("resume")
    lines = path.read_bytes().splitlines(keepends=True)
    second = next(
        number
        for number, line in enumerate(lines)
        if json.loads(line).get("type") == "user"
        and json.loads(line)["message"]["content"] == "Add the row 2,20."
    )
    copy = tmp_path / path.name
    copy.write_bytes(b"".join(lines[:second]))
    return copy, lines[second:]


class TestShape:
    def test_one_trace_per_user_turn(self, store: str) -> None:
        report = import_transcripts([recording("resume")], experiment="traces")
        assert (report.sessions, report.logged) == (1, 2)
        first, second = traces(store)
        assert session_from_trace(first).prompts == ("How many rows does orders.csv have?",)
        assert session_from_trace(second).prompts == ("Add the row 2,20.",)
        assert first.info.request_preview == "How many rows does orders.csv have?"

    def test_spans_are_the_plugin_s(self, store: str) -> None:
        path = recording("subagent")
        import_transcripts([path], experiment="traces")
        (trace,) = traces(store)
        session = parse_transcript(path)
        root = trace.data.spans[0]
        assert (root.name, root.span_type, root.parent_id) == (
            "claude_code_conversation",
            "AGENT",
            None,
        )
        assert len(spans(trace, "llm")) == len(session.steps)
        for span in spans(trace, "llm"):
            assert span.attributes["mlflow.chat.tokenUsage"]["output_tokens"] > 0
            assert span.attributes["mlflow.llm.cost"]["total_cost"] > 0
        made = {b["id"] for s in spans(trace, "llm") for b in s.outputs["content"] if "id" in b}
        assert made == {call.id for call in session.tool_calls}
        (agent,) = spans(trace, "subagent_general-purpose")
        (launch,) = spans(trace, "tool_Agent")
        assert agent.parent_id == launch.span_id
        inside = [s.name for s in trace.data.spans if s.parent_id == agent.span_id]
        assert inside.count("llm") == 4
        assert {"tool_Read", "tool_Write", "tool_Edit", "tool_Bash"} <= set(inside)

    def test_a_reader_of_the_plugin_s_traces_can_read_it(self, store: str) -> None:
        # Without our attribute the trace is one of the newest plugin's, and says the same.
        path = recording("tool-errors")
        import_transcripts([path], experiment="traces")
        document = traces(store)[0].to_dict()
        for span in document["data"]["spans"]:
            span["attributes"].pop(TURN_ATTRIBUTE, None)
        assert _trace_generation.detect(read_trace(document)) is _trace_generation.PLUGIN_3
        found, expected = session_from_trace(document), parse_transcript(path)
        assert found.usage == expected.usage
        assert found.usage_complete
        assert [(c.id, c.input, c.outcome) for c in found.tool_calls] == [
            (c.id, c.input, c.outcome) for c in expected.tool_calls
        ]

    def test_a_failed_call_has_event_and_status(self, store: str) -> None:
        import_transcripts([recording("failing-bash")], experiment="traces")
        (trace,) = traces(store)
        failed = spans(trace, "tool_")[0]
        assert failed.status.status_code.value == "ERROR"
        assert [event.name for event in failed.events] == ["exception"]
        assert failed.events[0].attributes["exception.message"].startswith("Exit code 1")
        assert spans(trace, "tool_")[1].status.status_code.value == "OK"

    def test_times_and_facts_are_the_transcript_s(self, store: str) -> None:
        path = recording("plain")
        session = parse_transcript(path)
        import_transcripts([path], experiment="traces")
        (trace,) = traces(store)
        assert session.start_time is not None
        assert trace.info.request_time == int(session.start_time.timestamp() * 1000)
        metadata = trace.info.trace_metadata
        assert metadata["mlflow.trace.session"] == session.session_id
        assert metadata["mlflow.trace.working_directory"] == session.cwd
        assert metadata["mlflow.claude_code_version"] == session.version
        assert metadata["mlflow.trace.user"]
        assert trace.info.tags["skilltrace.source"] == "transcript"
        assert trace.info.token_usage["output_tokens"] == session.usage.output_tokens
        cost = json.loads(metadata["mlflow.trace.cost"])["total_cost"]
        assert cost == pytest.approx(session_cost(session))

    def test_a_background_agent_is_nested_and_marked(self, store: str) -> None:
        import_transcripts([recording("background-agent")], experiment="traces")
        (trace,) = traces(store)
        (launch,) = spans(trace, "tool_Agent")
        assert launch.attributes["background"] is True
        (agent,) = spans(trace, "subagent_")
        assert launch.attributes["agent_id"] == agent.attributes["agent_id"]


class TestOnceEach:
    def test_importing_again_adds_nothing(self, store: str) -> None:
        first = import_transcripts([RECORDINGS / "resume"], experiment="traces")
        again = import_transcripts([RECORDINGS / "resume"], experiment="traces")
        assert (again.logged, again.replaced, again.unchanged) == (0, 0, 2)
        assert again.trace_ids == ()
        assert {t.info.trace_id for t in traces(store)} == set(first.trace_ids)

    def test_two_copies_of_a_session_are_one(self, store: str, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            shutil.copy(recording("plain"), tmp_path / name)
        report = import_transcripts([tmp_path / "a", tmp_path / "b"], experiment="traces")
        assert (report.logged, report.unchanged) == (1, 1)

    def test_a_copy_elsewhere_is_the_same_though_something_in_it_is_odd(
        self, store: str, tmp_path: Path
    ) -> None:
        odd = recording("plain").read_bytes() + b'{"type": "news", "text": "of an odd kind"}\n'
        for folder in ("one", "two"):
            path = tmp_path / folder / recording("plain").name
            path.parent.mkdir()
            path.write_bytes(odd)
        assert import_transcripts([tmp_path / "one"], experiment="traces").logged == 1
        assert import_transcripts([tmp_path / "two"], experiment="traces").unchanged == 1

    def test_a_session_that_went_on_keeps_its_earlier_turns(
        self, store: str, grown: tuple[Path, list[bytes]]
    ) -> None:
        path, rest = grown
        import_transcripts([path], experiment="traces")
        (before,) = traces(store)
        with path.open("ab") as file:
            file.writelines(rest)
        report = import_transcripts([path], experiment="traces")
        assert (report.logged, report.replaced, report.unchanged) == (1, 0, 1)
        kept, _ = traces(store)
        assert kept.info.trace_id == before.info.trace_id
        assert session_from_trace(traces(store)) == parse_transcript(path)

    def test_a_last_turn_that_grew_is_replaced(
        self, store: str, grown: tuple[Path, list[bytes]]
    ) -> None:
        path, rest = grown
        with path.open("ab") as file:
            file.writelines(rest[:2])
        import_transcripts([path], experiment="traces")
        cut = traces(store)[-1]
        mlflow.set_trace_tag(cut.info.trace_id, "skilltrace.test_id", "case_1")
        mlflow.set_trace_tag(cut.info.trace_id, "reviewed", "yes")
        with path.open("ab") as file:
            file.writelines(rest[2:])
        report = import_transcripts([path], experiment="traces")
        assert (report.logged, report.replaced, report.unchanged) == (0, 1, 1)
        _, last = traces(store)
        assert last.info.trace_id != cut.info.trace_id
        assert last.info.tags["skilltrace.test_id"] == "case_1"
        assert last.info.tags["reviewed"] == "yes"
        assert session_from_trace(traces(store)) == parse_transcript(path)

    @pytest.mark.parametrize("by", ["somebody", "an evaluation"])
    def test_whose_words_a_tag_has_is_known_after_it_was_replaced(
        self, store: str, grown: tuple[Path, list[bytes]], by: str
    ) -> None:
        """An evaluation's own would else be taken for somebody's, and decide what is judged."""
        path, rest = grown
        with path.open("ab") as file:
            file.writelines(rest[:2])
        import_transcripts([path], experiment="traces")
        cut = traces(store)[-1]
        tags = judged_tags({}, test="case_1", skill="demo")
        if by == "somebody":
            tags = {name: tags[name] for name in (TEST_TAG, SKILL_TAG)}
        for name, value in tags.items():
            mlflow.set_trace_tag(cut.info.trace_id, name, value)
        with path.open("ab") as file:
            file.writelines(rest[2:])
        assert import_transcripts([path], experiment="traces").replaced == 1
        last = traces(store)[-1].info.tags
        wanted = ("case_1", "demo") if by == "somebody" else (None, None)
        assert (said_test(last), said_skill(last)) == wanted
        assert {name: last.get(name) for name in tags} == tags

    def test_an_older_copy_replaces_nothing(
        self, store: str, grown: tuple[Path, list[bytes]]
    ) -> None:
        older, rest = grown
        import_transcripts([recording("resume")], experiment="traces")
        for extra in (b"", b"".join(rest[:2])):
            with older.open("ab") as file:
                file.write(extra)
            report = import_transcripts([older], experiment="traces")
            assert (report.logged, report.replaced) == (0, 0)
        assert session_from_trace(traces(store)) == parse_transcript(recording("resume"))

    @pytest.mark.parametrize("step", ["start_trace", "log_spans"])
    def test_what_an_interruption_left_is_finished(
        self, store: str, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        from mlflow.tracing.client import TracingClient

        def fail(*_: Any) -> None:
            raise OSError("the line is dead")

        path = recording("plain")
        with monkeypatch.context() as patch:
            patch.setattr(TracingClient, step, fail)
            with pytest.raises(EvaluationError, match="the line is dead"):
                import_transcripts([path], experiment="traces")
        report = import_transcripts([path], experiment="traces")
        assert report.logged == 1
        assert session_from_trace(traces(store)) == parse_transcript(path)

    def test_what_a_killed_import_had_no_time_to_delete_goes_with_the_next(
        self, store: str, monkeypatch: pytest.MonkeyPatch, grown: tuple[Path, list[bytes]]
    ) -> None:
        from mlflow.tracing.client import TracingClient

        def fail(*_: Any, **__: Any) -> None:
            raise OSError("the line is dead")

        path, rest = grown
        import_transcripts([path], experiment="traces")
        with path.open("ab") as file:
            file.writelines(rest[:2])
        import_transcripts([path], experiment="traces")
        with path.open("ab") as file:
            file.writelines(rest[2:])
        with monkeypatch.context() as patch:
            patch.setattr(TracingClient, "delete_traces", fail)
            with pytest.raises(EvaluationError, match="the line is dead"):
                import_transcripts([path], experiment="traces")
        assert len(traces(store)) == 3
        report = import_transcripts([path], experiment="traces")
        assert report.unchanged == 2
        assert [t.info.tags["skilltrace.turn"] for t in traces(store)] == ["0", "1"]
        assert session_from_trace(traces(store)) == parse_transcript(path)

    def test_another_import_s_half_written_trace_is_not_taken_away(
        self, store: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mlflow.tracing.client import TracingClient

        path, log_spans = recording("plain"), TracingClient.log_spans

        def fail(*_: Any) -> None:
            raise OSError("killed")

        def meanwhile(*given: Any) -> Any:
            monkeypatch.setattr(TracingClient, "log_spans", log_spans)
            with monkeypatch.context() as patch:
                patch.setattr(TracingClient, "start_trace", fail)
                with pytest.raises(EvaluationError, match="killed"):
                    import_transcripts([path], experiment="traces")
            return log_spans(*given)

        monkeypatch.setattr(TracingClient, "log_spans", meanwhile)
        import_transcripts([path], experiment="traces")
        assert session_from_trace(traces(store)) == parse_transcript(path)

    def test_another_experiment_is_another_place(self, store: str) -> None:
        import_transcripts([recording("plain")], experiment="traces")
        report = import_transcripts([recording("plain")], experiment="a new one")
        assert report.logged == 1
        assert len(traces(store, "a new one")) == 1

    def test_a_store_that_keeps_spans_as_artifacts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As Databricks does; among local stores the folder of files.
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        uri = (tmp_path / "files").as_uri()
        import_transcripts([recording("subagent")], experiment="traces", tracking_uri=uri)
        again = import_transcripts([recording("subagent")], experiment="traces", tracking_uri=uri)
        assert (again.logged, again.unchanged) == (0, 1)
        assert session_from_trace(traces(uri)) == parse_transcript(recording("subagent"))


class TestParts:
    def test_one_turn_is_judged_on_its_own(self, store: str) -> None:
        import_transcripts([recording("resume")], experiment="traces")
        whole = parse_transcript(recording("resume"))
        first, second = (session_from_trace(trace) for trace in traces(store))
        assert first.usage + second.usage == whole.usage
        assert first.tool_calls + second.tool_calls == whole.tool_calls
        assert first.end_time is not None
        assert second.start_time is not None
        assert first.end_time < second.start_time
        assert second.stop_reason == whole.stop_reason

    def test_a_lost_span_leaves_the_turn_incomplete(self, store: str) -> None:
        import_transcripts([recording("failing-bash")], experiment="traces")
        document = traces(store)[0].to_dict()
        kept = [s for s in document["data"]["spans"] if s["name"] != "tool_Edit"]
        document["data"]["spans"] = kept
        session = session_from_trace(document)
        assert session.incomplete
        assert [c.input for c in session.tool_calls if c.name == "Edit"] == [None]

    def test_a_damaged_attribute_is_said(self, store: str) -> None:
        import_transcripts([recording("plain")], experiment="traces")
        document = traces(store)[0].to_dict()
        document["data"]["spans"][0]["attributes"][TURN_ATTRIBUTE] = "{}"
        with pytest.raises(InputError, match="damaged"):
            session_from_trace(document)


class TestBesideOtherTraces:
    def traced(self, session: Session, call_id: str) -> Trace:
        """What a Stop hook logged of the same session."""
        turn = Turn(session.prompts[0], session=session.session_id)
        turn.tool(call_id, "Bash", {"command": "ls"}, "a")
        return turn.end()

    def test_what_both_hold_counts_once(self, store: str) -> None:
        session = parse_transcript(recording("failing-bash"))
        import_transcripts([recording("failing-bash")], experiment="traces")
        found = traces(store)
        hook = self.traced(session, session.tool_calls[0].id)
        assert session_from_trace([*found, hook]) == session

    def test_what_was_not_imported_is_known_to_be_missing(self, store: str) -> None:
        session = parse_transcript(recording("failing-bash"))
        import_transcripts([recording("failing-bash")], experiment="traces")
        found = session_from_trace([*traces(store), self.traced(session, "toolu_later")])
        assert found.incomplete
        assert not found.usage_complete


class TestTurns:
    def test_a_session_without_a_prompt_is_one_turn(self) -> None:
        (turn,) = split_turns(make_session(["Read", "Bash"]), name="x")
        assert len(turn.session.tool_calls) == 2

    def test_a_session_of_nothing_is_one_turn(self) -> None:
        (turn,) = split_turns(Session(), name="x")
        assert turn.session_id == "x"

    def test_what_comes_before_the_first_prompt_belongs_to_it(self) -> None:
        prompt = Message(role="user", text="Go.", timestamp=START, position=2)
        session = make_session(["Read", "Bash"], messages=(prompt,))
        (turn,) = split_turns(session, name="x")
        assert len(turn.session.tool_calls) == 2

    def test_the_digest_sees_results_and_arguments(self) -> None:
        digests = {
            split_turns(make_session([make_call("Bash", given, result=text)]), name="x")[0].digest
            for given in ({"command": "ls"}, {"command": "pwd"})
            for text in ("a", "b")
        }
        assert len(digests) == 4

    def test_an_incomplete_step_marks_its_own_turn_only(self) -> None:
        prompts = tuple(
            Message(role="user", text=text, timestamp=START, position=position)
            for text, position in (("One.", 0), ("Two.", 10))
        )
        steps = tuple(
            ModelStep(id=f"m{position}", usage=TokenUsage(input_tokens=1), position=position,
                      usage_complete=position > 10)
            for position in (1, 11)
        )  # fmt: skip
        session = Session(messages=prompts, steps=steps, usage_complete=False)
        first, second = split_turns(session, name="x")
        assert not first.session.usage_complete
        assert second.session.usage_complete


SECRETS = {
    "Databricks Token": "dapi0123456789abcdef0123456789abcdef",
    "GitHub Token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "AWS Access Key": "AKIAIOSFODNN7EXAMPLQ",
    "Anthropic API Key": "sk-ant-api03-abcdefghijklmnopqrstuvwxyz",
}


class TestRedaction:
    @pytest.fixture
    def leaky(self, tmp_path: Path) -> Path:
        """A transcript with secrets in a prompt, an argument, a result and an answer."""
        text = recording("failing-bash").read_text(encoding="utf-8")
        text = text.replace("Run check.py and fix", f"Use {SECRETS['Databricks Token']} to fix")
        text = text.replace("python3 check.py", f"TOKEN={SECRETS['GitHub Token']} python3 check.py")
        text = text.replace("2 rows, 0 errors", f"key {SECRETS['AWS Access Key']}, 0 errors")
        text = text.replace("1,10\\\\n2\\\\n", f"{SECRETS['Anthropic API Key']}")
        path = tmp_path / "leaky.jsonl"
        path.write_text(text, encoding="utf-8")
        return path

    def stored(self, uri: str) -> str:
        return "".join(trace.to_json() for trace in traces(uri))

    def test_no_secret_reaches_the_store(self, store: str, leaky: Path) -> None:
        present = [s for s in SECRETS.values() if s in leaky.read_text(encoding="utf-8")]
        assert len(present) >= 3
        report = import_transcripts([leaky], experiment="traces", redact=True)
        assert sum(report.redacted.values()) >= 3
        assert "Databricks Token" in report.redacted
        text = self.stored(store)
        assert not [secret for secret in present if secret in text]
        assert "[REDACTED: Databricks Token]" in text

    def test_names_of_files_and_places_are_no_hiding_place(
        self, store: str, tmp_path: Path
    ) -> None:
        secret = SECRETS["GitHub Token"]
        where = {"cwd": f"/home/{secret}", "gitBranch": f"try-{secret}"}
        task = tool("Task", "toolu_t", prompt="Look.", subagent_type=f"type-{secret}")
        path = write_lines(
            tmp_path / "session.jsonl",
            user("Go.", **where),
            assistant(
                "msg_a",
                tool("Write", "toolu_w", file_path=f"/x/{secret} a.txt", content="x"),
                tool("Skill", "toolu_s", skill=secret),
                tool(f"mcp__{secret}__ask", "toolu_m"),
                task,
                **where,
            ),
            result("toolu_w", extra={"type": "create", "filePath": f"/x/{secret} a.txt"}),
            result("toolu_s"),
            result("toolu_m", f"{secret} is unknown", is_error=True),
            result("toolu_t", extra={"status": secret, "agentId": "a1"}),
            entry(f"kind-{secret}"),
        )
        import_transcripts([path], experiment="traces", redact=True)
        assert secret not in self.stored(store)
        (written,) = session_from_trace(traces(store)).files
        assert written.file_path == "/x/[REDACTED: GitHub Token] a.txt"

    def test_nothing_but_secrets_changes(self, store: str) -> None:
        import_transcripts([recording("tool-errors")], experiment="traces", redact=True)
        assert session_from_trace(traces(store)) == parse_transcript(recording("tool-errors"))

    def test_what_was_imported_redacted_stays_so(self, store: str, leaky: Path) -> None:
        import_transcripts([leaky], experiment="traces", redact=True)
        report = import_transcripts([leaky], experiment="traces")
        assert report.unchanged == 1
        assert SECRETS["Databricks Token"] not in self.stored(store)

    def test_redacting_replaces_what_was_not(self, store: str, leaky: Path) -> None:
        import_transcripts([leaky], experiment="traces")
        assert SECRETS["Databricks Token"] in self.stored(store)
        report = import_transcripts([leaky], experiment="traces", redact=True)
        assert report.replaced == 1
        assert SECRETS["Databricks Token"] not in self.stored(store)


class TestRefused:
    def test_a_missing_path(self, store: str) -> None:
        with pytest.raises(InputError, match=r"nowhere\.jsonl"):
            import_transcripts(["nowhere.jsonl"], experiment="traces")

    def test_a_folder_without_sessions(self, store: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no Claude Code session"):
            import_transcripts([tmp_path], experiment="traces")

    def test_a_sub_agent_s_file_alone(self, store: str) -> None:
        (path,) = (RECORDINGS / "subagent").glob("*/subagents/agent-*.jsonl")
        with pytest.raises(InputError, match="sub-agent's transcript"):
            import_transcripts([path], experiment="traces")

    def test_a_bad_file_among_good_ones(self, store: str, tmp_path: Path) -> None:
        bad = tmp_path / "bad.jsonl"
        bad.write_text("no json\n")
        report = import_transcripts([bad, recording("plain")], experiment="traces")
        assert report.logged == 1
        assert list(report.failed) == [str(bad)]

    def test_an_experiment_that_was_deleted(self, store: str) -> None:
        client = mlflow.MlflowClient()
        client.delete_experiment(client.create_experiment("gone"))
        with pytest.raises(ConfigurationError, match="deleted"):
            import_transcripts([recording("plain")], experiment="gone")

    def test_a_server_that_is_gone(self) -> None:
        with pytest.raises(EvaluationError, match="does not answer"):
            import_transcripts([recording("plain")], tracking_uri=f"http://127.0.0.1:{free_port()}")


class TestCommands:
    def test_import_says_what_it_did(self, store: str) -> None:
        arguments = [str(recording("plain")), "--experiment", "traces", "--tracking-uri", store]
        first = CliRunner().invoke(import_command, arguments)
        assert first.exit_code == 0
        assert "1 turn logged" in first.stdout
        second = CliRunner().invoke(import_command, [*arguments, "--format", "json"])
        assert json.loads(second.stdout)["unchanged"] == 1

    def test_a_file_that_cannot_be_read_makes_exit_code_2(self, store: str, tmp_path: Path) -> None:
        bad = tmp_path / "bad.jsonl"
        bad.write_text("no json\n")
        arguments = [str(bad), str(recording("plain")), "--experiment", "traces"]
        run = CliRunner().invoke(import_command, [*arguments, "--tracking-uri", store])
        assert run.exit_code == 2
        assert "bad.jsonl" in run.stderr
        assert "1 turn logged" in run.stdout

    def test_list_traces_lists_an_experiment(self, store: str) -> None:
        import_transcripts([recording("resume")], experiment="traces")
        arguments = ["--experiment", "traces", "--tracking-uri", store]
        run = CliRunner().invoke(list_command, [*arguments, "--format", "json"])
        rows = json.loads(run.stdout)
        assert [row["prompt"] for row in rows] == [
            "Add the row 2,20.",
            "How many rows does orders.csv have?",
        ]
        assert rows[0]["calls"] == 2
        assert rows[0]["id"].startswith("tr-")
        limited = CliRunner().invoke(
            list_command, [*arguments, "--limit", "1", "--format", "jsonl"]
        )
        assert len(limited.stdout.splitlines()) == 1
        table = CliRunner().invoke(list_command, arguments)
        # At the width of a terminal an id is shown as far as tells it apart.
        assert rows[0]["id"][: len("tr-") + 8] in table.stdout

    def test_list_traces_shows_strangers_without_figures(self, store: str) -> None:
        with mlflow.start_span("my_app"):
            pass
        run = CliRunner().invoke(
            list_command, ["--experiment", "traces", "--tracking-uri", store, "--format", "json"]
        )
        (row,) = json.loads(run.stdout)
        assert row["calls"] is None

    def test_list_traces_shows_the_others_beside_a_damaged_one(self, store: str) -> None:
        import_transcripts([recording("plain")], experiment="traces")
        damaged = Turn(session="damaged")
        damaged.root.set_attribute(TURN_ATTRIBUTE, "{")
        identity = damaged.end().info.trace_id
        run = CliRunner().invoke(
            list_command, ["--experiment", "traces", "--tracking-uri", store, "--format", "json"]
        )
        calls = {row["id"]: row["calls"] for row in json.loads(run.stdout)}
        assert calls.pop(identity) is None
        assert list(calls.values()) == [0]
        assert f"without figures: trace {identity}" in run.stderr

    def test_list_traces_lists_this_machine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
        shutil.copytree(RECORDINGS / "failing-bash", tmp_path / "projects" / "-home-dev-shop")
        run = CliRunner().invoke(list_command, ["--local", "--format", "jsonl"])
        (row,) = (json.loads(line) for line in run.stdout.splitlines())
        session = parse_transcript(recording("failing-bash"))
        assert row["session"] == session.session_id
        assert row["tokens"] == session.usage.total_tokens
        assert row["errors"] == 1
        assert row["path"].endswith(".jsonl")


def test_a_later_turn_of_the_hook_without_a_call_is_missed_too(store: str) -> None:
    path = recording("resume")
    import_transcripts([path], experiment="traces")
    held = traces(store)
    session = parse_transcript(path)
    later = Turn("And now?", session=session.session_id, start=TRACED + 10**17)
    later.llm("Nothing.", counts=usage(1, 1, read=0, created=0))
    hook = later.end()
    merged = session_from_trace([*held, hook])
    assert not merged.usage_complete
    assert any("import again" in reason for reason in merged.incomplete)
    known = Turn(session.prompts[0], session=session.session_id)
    known.llm("Three.", counts=usage(1, 1, read=0, created=0))
    assert session_from_trace([*held, known.end()]).incomplete == session.incomplete


def test_another_session_of_the_same_id_replaces_nothing(store: str, tmp_path: Path) -> None:
    """Ids can come out alike: of a generator that was seeded, of files without an id."""

    def session(folder: str, prompt: str, day: int) -> Path:
        moment = f"2026-03-{day:02}T10:00:00.000Z"
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "alike.jsonl"
        write_lines(
            path,
            user(prompt, timestamp=moment, sessionId="alike"),
            assistant("m1", tool("Read", "t1"), timestamp=moment, sessionId="alike"),
            result("t1", "ok", timestamp=moment, sessionId="alike"),
        )
        return path

    first, other = session("a", "do one thing", 1), session("b", "do another", 2)
    kept = import_transcripts([first], experiment="traces", tracking_uri=store).trace_ids
    for redact in (False, True):
        with pytest.raises(InputError, match="another session of the same id"):
            import_transcripts([other], experiment="traces", tracking_uri=store, redact=redact)
    assert [t.info.trace_id for t in traces(store)] == list(kept)
    again = import_transcripts([first], experiment="traces", tracking_uri=store)
    assert (again.unchanged, again.failed) == (1, {})


def test_the_report_says_what_mlflows_page_does_not_show_at_first() -> None:
    report = ImportReport(
        experiment_id="1",
        tracking_uri="sqlite:///x",
        out_of_sight=3,
        oldest=datetime(2026, 1, 2, tzinfo=timezone.utc),
    )
    assert "3 of these turns are older than the 7 days" in report.in_words()
    assert "2026-01-02" in report.in_words()
    assert report.to_dict()["out_of_sight"] == 3
    assert "older than" not in replace(report, out_of_sight=0).in_words()
