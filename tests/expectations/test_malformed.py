"""Each malformed file is refused with one message that names the place, the key and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from skilltrace_mlflow.errors import ConfigurationError, InputError, SkillTraceError
from skilltrace_mlflow.expectations import load_ground_truth, load_manifest


def trace(lines: str) -> str:
    """A manifest with these lines under scorers.trace_expectations, from line 4, column 5."""
    body = "".join(f"    {line}\n" for line in lines.split("\n"))
    return f"skill: {{name: x}}\nscorers:\n  trace_expectations:\n{body}"


def test_keys(lines: str) -> str:
    """A ground truth with these lines under a test's expectations, from line 4, column 7."""
    body = "".join(f"      {line}\n" for line in lines.split("\n"))
    return f"test_cases:\n  - id: a\n    expectations:\n{body}"


test_keys.__test__ = False  # type: ignore[attr-defined]  # a helper, named after what it writes

TE = "scorers.trace_expectations"
EX = "test_cases[0].expectations"

MANIFESTS = {
    "scorers listed at the top": (
        "enabled: [python_syntax]\n",
        "1:1: enabled: 'enabled' belongs under scorers",
    ),
    "a ground truth for a manifest": (
        "test_cases: [{id: a}]\n",
        "1:1: test_cases: 'test_cases' belong in ground_truth.yaml",
    ),
    "trace expectations under skill": (
        "skill: {name: x, trace_expectations: {tool_limits: {Bash: 3}}}\n",
        "1:18: skill.trace_expectations: 'trace_expectations' belongs at the top level",
    ),
    "trace key under evaluation": (
        "evaluation: {tool_limits: {Bash: 3}}\n",
        "1:14: evaluation.tool_limits: 'tool_limits' belongs under scorers.trace_expectations",
    ),
    "misspelt gates under evaluation": (
        "evaluation: {quality_gate: {tool_count: 1}}\n",
        "1:14: evaluation.quality_gate: unknown key 'quality_gate'; did you mean 'quality_gates'?",
    ),
    "key of an expectation as a gate": (
        "quality_gates: {tool_limits: 1}\n",
        "1:17: quality_gates.tool_limits: no check is named 'tool_limits'; "
        "did you mean 'tool_count'?",
    ),
    "misspelt name disabled for sessions": (
        "session_expectations: {banned_tools: [Bash], disabled: [bannd_tools]}\n",
        "1:57: session_expectations.disabled[0]: no check is named 'bannd_tools'; "
        "did you mean 'banned_tools'?",
    ),
    "misspelt trace key": (
        trace("tool_limit: {Bash: 3}"),
        f"4:5: {TE}.tool_limit: unknown key 'tool_limit'; did you mean 'tool_limits'?",
    ),
    "banned_patterns is no key": (
        trace("banned_patterns: [rm]"),
        f"4:5: {TE}.banned_patterns: unknown key 'banned_patterns'; did you mean 'banned_tools'?",
    ),
    "call_order is no key": (
        trace("call_order: [Read]"),
        f"4:5: {TE}.call_order: unknown key 'call_order'; did you mean 'tool_sequence'?",
    ),
    "scalar for a list": (
        trace("required_tools: Read"),
        f"4:21: {TE}.required_tools: got the text 'Read', expected a list or a mapping; "
        "write [Read]",
    ),
    "list for a mapping": (
        trace("tool_limits: [Bash]"),
        f"4:18: {TE}.tool_limits: got a list of 1, expected a mapping",
    ),
    "text for a number": (
        trace("tool_limits: {Bash: many}"),
        f"4:25: {TE}.tool_limits.Bash: got the text 'many', expected a whole number or a mapping",
    ),
    "negative limit": (
        trace("tool_limits: {Bash: -1}"),
        f"4:25: {TE}.tool_limits.Bash: got the number -1, expected at least 0",
    ),
    "true is no number": (
        trace("tool_limits: {Bash: true}"),
        f"4:25: {TE}.tool_limits.Bash: got true, expected a whole number or a mapping",
    ),
    "misspelt key of a limit": (
        trace("tool_limits: {Bash: {mni: 1}}"),
        f"4:26: {TE}.tool_limits.Bash.mni: unknown key 'mni'; did you mean 'min'?",
    ),
    "minimum above maximum": (
        trace("tool_limits: {Bash: {min: 3, max: 1}}"),
        f"4:25: {TE}.tool_limits.Bash: min 3 is more than max 1",
    ),
    "misspelt budget": (
        trace("token_budget: {max_totl: 3}"),
        f"4:20: {TE}.token_budget.max_totl: unknown key 'max_totl'; did you mean 'max_total'?",
    ),
    "budget without a limit": (
        trace("token_budget: {allow_incomplete: true}"),
        f"4:19: {TE}.token_budget: got a mapping (allow_incomplete), expected at least one of",
    ),
    "infinite budget": (
        trace("token_budget: {max_total: .inf}"),
        f"4:31: {TE}.token_budget.max_total: .inf is not a finite number",
    ),
    "not a number": (
        trace("token_budget: {max_total: .nan}"),
        f"4:31: {TE}.token_budget.max_total: .nan is not a finite number",
    ),
    "number for a tool": (
        trace("required_tools: [Read, 3]"),
        f"4:28: {TE}.required_tools[1]: got the number 3, expected text; put it in quotes",
    ),
    "glob without quotes": (
        trace("expected_files: [*.sql, x]"),
        "; YAML reads * as an alias or an anchor: put it in quotes, '*.sql'",
    ),
    "deep glob without quotes": (
        trace("expected_files: [**/*.py]"),
        "put it in quotes, '**/*.py'",
    ),
    "glob that looks like an alias": (
        trace("expected_files: [*sql]"),
        "put it in quotes, '*sql'",
    ),
    "text with a colon": (
        trace("required_tools: [Read: it]"),
        "expected text; a colon and a blank make a mapping: put it in quotes, 'Read: it'",
    ),
    "empty tool name": (
        trace("required_tools: ['']"),
        f"4:22: {TE}.required_tools[0]: got the text '', expected text that is not empty",
    ),
    "selector that is none": (
        trace("required_tools: [Read, 'Bash(']"),
        f"4:28: {TE}.required_tools[1]: 'Bash(' is no tool name, glob or permission rule: "
        "the bracket is not closed",
    ),
    "misspelt key of the long form": (
        trace("required_tools: {tools: [Read], scop: main}"),
        f"4:37: {TE}.required_tools.scop: unknown key 'scop'; did you mean 'scope'?",
    ),
    "unknown scope": (
        trace("scope: everywhere"),
        f"4:12: {TE}.scope: got the text 'everywhere', expected one of all, main, subagents",
    ),
    "unknown category": (
        trace("category_limits: {bsh: 3}"),
        f"4:28: {TE}.category_limits.bsh: unknown category 'bsh'",
    ),
    "key without a value": (
        trace("tool_limits:"),
        f"{TE}.tool_limits: got nothing (null), expected a mapping",
    ),
    "duplicate key": (
        trace("tool_limits: {Bash: 3}\ntool_limits: {Read: 3}"),
        f"5:5: {TE}.tool_limits: duplicate key 'tool_limits', first on line 4",
    ),
    "disabled check that is none": (
        trace("disabled: [tool_cuont]"),
        f"4:16: {TE}.disabled[0]: no check is named 'tool_cuont'; did you mean 'tool_count'?",
    ),
    "exception from no ban": (
        trace("banned_tools: [curl]\nban_exceptions: [crul]"),
        f"5:22: {TE}.ban_exceptions[0]: 'crul' is no ban; did you mean 'curl'?",
    ),
    "exception without bans": (
        trace("ban_exceptions: [curl]"),
        f"4:5: {TE}.ban_exceptions: has no effect without banned_skills or banned_tools",
    ),
    "unclosed bracket": (trace("tool_sequence: [Read"), "5:1: not valid YAML"),
    "tab": (trace("tool_limits:\n\tBash: 3"), "indent with spaces, YAML allows no tabs there"),
    "python tag": (
        trace("tool_limits: !!python/object/apply:os.system [ls]"),
        f"4:18: {TE}.tool_limits: the tag !!python/object/apply:os.system is refused",
    ),
    "unknown scorer": (
        "skill: {name: x}\nscorers:\n  enabled: [tool_cuont]\n",
        "3:13: scorers.enabled[0]: no scorer is named 'tool_cuont'; did you mean 'tool_count'?",
    ),
    "key instead of a scorer": (
        "skill: {name: x}\nscorers: [tool_limits]\n",
        "2:11: scorers[0]: no scorer is named 'tool_limits'; did you mean 'tool_count'?",
    ),
    "scalar for a list of scorers": (
        "skill: {name: x}\nscorers:\n  enabled: tool_count\n",
        "3:12: scorers.enabled: got the text 'tool_count', expected a list; write [tool_count]",
    ),
    "misspelt key of scorers": (
        "skill: {name: x}\nscorers:\n  enabeld: [tool_count]\n",
        "3:3: scorers.enabeld: unknown key 'enabeld'; did you mean 'enabled'?",
    ),
    "arguments of a check": (
        "skill: {name: x}\nscorers: [{tool_count: {Bash: 3}}]\n",
        "2:11: scorers[0]: tool_count takes no arguments here",
    ),
    "gate in percent": (
        "skill: {name: x}\nquality_gates: {tool_count: 90}\n",
        "2:29: quality_gates.tool_count: got the number 90, expected at most 1",
    ),
    "unknown gate": (
        "skill: {name: x}\nquality_gates: {tool_cuont: 1.0}\n",
        "2:17: quality_gates.tool_cuont: no check is named 'tool_cuont'; "
        "did you mean 'tool_count'?",
    ),
    "misspelt section": (
        "skill: {name: x}\nquality_gate: {tool_count: 1}\n",
        "2:1: quality_gate: unknown key 'quality_gate'; did you mean 'quality_gates'?",
    ),
    "trace key at the top": (
        "skill: {name: x}\ntool_limits: {Bash: 1}\n",
        "2:1: tool_limits: 'tool_limits' belongs under scorers.trace_expectations",
    ),
    "a test's key at the top": (
        "skill: {name: x}\nexpectations: {tool_limits: {Bash: 1}}\n",
        "2:1: expectations: 'expectations' is a test's in ground_truth.yaml",
    ),
    "key of a response at the top": (
        "skill: {name: x}\nexpected_facts: [a]\n",
        "2:1: expected_facts: 'expected_facts' is a test's in ground_truth.yaml",
    ),
    "misspelt trace key at the top": (
        "skill: {name: x}\ntoolLimit: {Bash: 1}\n",
        "2:1: toolLimit: unknown key 'toolLimit'; did you mean 'tool_limits'",
    ),
    "another word for a trace key at the top": (
        "skill: {name: x}\nforbidden_tools: [Bash]\n",
        "2:1: forbidden_tools: unknown key 'forbidden_tools'; did you mean 'banned_tools'",
    ),
    "trace key below a key that is not read": (
        "skill: {name: x}\nchecks: [{always: {banned_tools: [Bash]}}]\n",
        "2:20: checks[0].always.banned_tools: 'banned_tools' is not read below 'checks'",
    ),
    "trace key below a key of evaluation": (
        "skill: {name: x}\nevaluation: {rules: {tool_limits: {Bash: 1}}}\n",
        "2:22: evaluation.rules.tool_limits: 'tool_limits' is not read below 'rules'",
    ),
    "gates by half their name": (
        "skill: {name: x}\ngates: {tool_count: 1}\n",
        "2:1: gates: unknown key 'gates'; did you mean 'quality_gates'?",
    ),
    "trace key written twice": (
        trace("tool_limits: {Bash: 1}") + "trace_expectations: {tool_limits: {Bash: 2}}\n",
        "5:22: trace_expectations.tool_limits: 'tool_limits' is written under scorers.trace_exp",
    ),
    "missing dataset": (
        "skill: {name: x}\nevaluation: {datasets: [{path: nope.yaml}]}\n",
        "2:32: evaluation.datasets[0].path: there is no file",
    ),
    "misspelt tier": (
        "skill: {name: x}\nevaluation: {scorers: {teir1: [tool_count]}}\n",
        "2:24: evaluation.scorers.teir1: unknown key 'teir1'; did you mean 'tier1'?",
    ),
    "skill name that is a number": (
        "skill: {name: 3}\n",
        "1:15: skill.name: got the number 3, expected text; put it in quotes",
    ),
    "empty file": ("", "1:1: the file is empty"),
    "list at the top": ("- a\n- b\n", "1:1: got a list of 2, expected a mapping"),
    "text at the top": ("just text", "1:1: got the text 'just text', expected a mapping"),
    "not YAML": ("a: b: c\n", "1:5: not valid YAML"),
    "two documents": ("skill: {name: x}\n---\nskill: {name: y}\n", "2:1: a second YAML document"),
    "alias to itself": ("a: &a [*a]\n", "an alias refers to the value it stands in"),
    "control character": ("a: \x01\n", "a character that YAML does not allow"),
    "nested too deep": ("[" * 200, "nested deeper than 64 levels"),
    "expanding aliases": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n"
            for i in range(8)
        ),
        "aliases expand to more than 200000 values",
    ),
}

GROUND_TRUTHS = {
    "misspelt trace key in a test case": (
        "test_cases: [{id: a, tool_limit: {Bash: 1}}]\n",
        "1:22: test_cases[0].tool_limit: unknown key 'tool_limit'; did you mean 'tool_limits'",
    ),
    "trace key below a key that is not read": (
        "test_cases: [{id: a, checks: {tool_limits: {Bash: 1}}}]\n",
        "1:31: test_cases[0].checks.tool_limits: 'tool_limits' is not read below 'checks'",
    ),
    "trace key below a key of the file that is not read": (
        "test_cases: [{id: a}]\ndefaults: {tool_limits: {Bash: 1}}\n",
        "2:12: defaults.tool_limits: 'tool_limits' is not read below 'defaults'",
    ),
    "trace expectations outside any test": (
        "test_cases: [{id: a}]\ntrace_expectations: {tool_limits: {Bash: 1}}\n",
        "2:1: trace_expectations: 'trace_expectations' is not read here; it belongs under a test",
    ),
    "gates beside the tests": (
        "test_cases: [{id: a}]\nquality_gates: {tool_count: 1}\n",
        "2:1: quality_gates: 'quality_gates' is not read here; it belongs in manifest.yaml",
    ),
    "blank fact": (
        test_keys("expected_facts: [' ']"),
        f"4:24: {EX}.expected_facts[0]: got the text ' ', expected text that is not empty",
    ),
    "tests in two lists": (
        "test_cases: [{id: a}]\ntest_case: [{id: b}]\n",
        "2:1: test_case: unknown key 'test_case'; did you mean 'test_cases'?",
    ),
    "misspelt key of outputs": (
        "test_cases: [{id: a, outputs: {traceRef: x.jsonl}}]\n",
        "1:32: test_cases[0].outputs.traceRef: unknown key 'traceRef'; did you mean 'trace_ref'?",
    ),
    "misspelt recorded success": (
        "test_cases: [{id: a, outputs: {execution_succes: false}}]\n",
        "1:32: test_cases[0].outputs.execution_succes: unknown key 'execution_succes'; "
        "did you mean 'execution_success'?",
    ),
    "misspelt link to a trace": (
        "test_cases: [{id: a, metadata: {trace_runid: x}}]\n",
        "1:33: test_cases[0].metadata.trace_runid: unknown key 'trace_runid'; "
        "did you mean 'trace_run_id'?",
    ),
    "misspelt prompt": (
        "test_cases: [{id: a, inputs: {promt: x}}]\n",
        "1:31: test_cases[0].inputs.promt: unknown key 'promt'; did you mean 'prompt'?",
    ),
    "misspelt response key": (
        test_keys("expected_fact: [x]"),
        f"4:7: {EX}.expected_fact: unknown key 'expected_fact'; did you mean 'expected_facts'?",
    ),
    "scalar for a list of facts": (
        test_keys("expected_facts: x"),
        f"4:23: {EX}.expected_facts: got the text 'x', expected a list; write [x]",
    ),
    "misspelt key of a pattern": (
        test_keys("expected_patterns: [{patern: x}]"),
        f"4:28: {EX}.expected_patterns[0].patern: unknown key 'patern'; did you mean 'pattern'?",
    ),
    "bad regular expression": (
        test_keys("expected_patterns: ['(']"),
        f"4:27: {EX}.expected_patterns[0]: bad regular expression '('",
    ),
    "pattern that can never hold": (
        test_keys("expected_patterns: [{pattern: x, min_count: 2, max_count: 1}]"),
        f"4:51: {EX}.expected_patterns[0].min_count: min_count 2 is more than max_count 1",
    ),
    "bad value of a trace key": (
        test_keys("tool_limits: {Bash: x}"),
        f"4:27: {EX}.tool_limits.Bash: got the text 'x', expected a whole number or a mapping",
    ),
    "misspelt nested trace key": (
        test_keys("trace_expectations: {call_order: [a]}"),
        f"4:28: {EX}.trace_expectations.call_order: unknown key 'call_order'",
    ),
    "trace key here and nested": (
        test_keys("tool_limits: {Bash: 1}\ntrace_expectations: {tool_limits: {Bash: 2}}"),
        f"5:28: {EX}.trace_expectations.tool_limits: written twice",
    ),
    "misspelt removal": (
        test_keys("token_budget: {max_inptu: null}"),
        f"4:22: {EX}.token_budget.max_inptu: unknown key 'max_inptu'; did you mean 'max_input'?",
    ),
    "misspelt session key": (
        test_keys("session_expectations: {tool_limitz: {}}"),
        f"4:30: {EX}.session_expectations.tool_limitz: unknown key 'tool_limitz'",
    ),
    "scalar for disabled": (
        test_keys("disabled: tool_count"),
        f"4:17: {EX}.disabled: got the text 'tool_count', expected a list; write [tool_count]",
    ),
    "text for true": (
        test_keys("is_multi_skill: yep"),
        f"4:23: {EX}.is_multi_skill: got the text 'yep', expected true or false",
    ),
    "duplicate id": (
        "test_cases:\n  - {id: a}\n  - {id: a}\n",
        "3:10: test_cases[1].id: duplicate id 'a', first on line 2",
    ),
    "no id": (
        "test_cases:\n  - {inputs: {prompt: x}}\n",
        "2:5: test_cases[0]: the key 'id' is missing",
    ),
    "mapping for the cases": (
        "test_cases: {id: a}\n",
        "1:13: test_cases: got a mapping (id), expected a list",
    ),
    "no cases": (
        "other: []\n",
        "1:1: got a mapping (other), expected at least one of test_cases, trigger_prompts",
    ),
    "misspelt cases": (
        "test_case: []\n",
        "1:1: test_case: unknown key 'test_case'; did you mean 'test_cases'?",
    ),
    "trace key beside expectations": (
        "test_cases:\n  - id: a\n    tool_limits: {Bash: 1}\n",
        "3:5: test_cases[0].tool_limits: 'tool_limits' belongs under expectations",
    ),
    "misspelt expectations": (
        "test_cases:\n  - id: a\n    expectation: {}\n",
        "3:5: test_cases[0].expectation: unknown key 'expectation'; did you mean 'expectations'?",
    ),
    "run id that is a number": (
        "test_cases:\n  - id: a\n    metadata: {trace_run_id: 12}\n",
        "3:30: test_cases[0].metadata.trace_run_id: got the number 12, expected text",
    ),
    "text for a case": (
        "test_cases:\n  - just\n",
        "2:5: test_cases[0]: got the text 'just', expected a mapping",
    ),
}


@pytest.mark.parametrize(("text", "expected"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_malformed_manifest_gives_one_precise_message(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_manifest(path)
    _assert_one_message(caught.value, path, expected)


@pytest.mark.parametrize(("text", "expected"), GROUND_TRUTHS.values(), ids=GROUND_TRUTHS)
def test_a_malformed_ground_truth_gives_one_precise_message(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "ground_truth.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_ground_truth(path)
    _assert_one_message(caught.value, path, expected)


def _assert_one_message(error: SkillTraceError, path: Path, expected: str) -> None:
    message = str(error)
    assert message.count("\n") == 0, message
    assert message.startswith(f"{path}:"), message
    assert expected in message
    assert error.exit_code == 2


def test_all_problems_of_a_file_are_said_at_once_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(
        trace("tool_limit: {Bash: 3}\nrequired_tools: Read") + "quality_gates: {x: 2}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        load_manifest(path)
    places = [problem.removeprefix(f"{path}:").split(":")[0] for problem in caught.value.problems]
    assert places == ["4", "5", "6", "6"]


def test_problems_of_several_tests_are_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ground_truth.yaml"
    path.write_text(
        "test_cases:\n"
        "  - {id: a, expectations: {tool_limits: {Bash: x}}}\n"
        "  - {id: b, expectations: {call_order: [x]}}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        load_ground_truth(path)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("content", [b"skill: {name: caf\xe9}\n", b"\xff\xfe\x00"])
def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not UTF-8"):
        load_manifest(path)


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_bytes(b"\xef\xbb\xbfskill: {name: x}\n")
    assert load_manifest(path).name == "x"


def test_bad_indices_in_a_ban_list_are_the_tests_own(tmp_path: Path) -> None:
    """The test's list is united with the manifest's; the message points into the test's."""
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(trace("banned_tools: [curl, wget]"), encoding="utf-8")
    cases = tmp_path / "gt.yaml"
    cases.write_text(test_keys("banned_tools: ['rm -rf', '$(']"), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_ground_truth(cases, manifest=load_manifest(manifest))
    assert f"{cases}:4:32: {EX}.banned_tools[1]: '$(' has a bracket that is not closed" in str(
        caught.value
    )
