"""subagents: how many ran, of which types, and launches without a record of their own."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.session import SubAgent
from tests.builders import make_call, make_session
from tests.checks.judging import judge, verdict


class TestSubAgents:
    def test_limits_and_types(self) -> None:
        agents = (SubAgent(id="a", type="Explore"), SubAgent(id="b", type="Plan"))
        assert verdict("subagents", {"max": 2, "required": ["Explore"]}, subagents=agents) == "pass"
        assert verdict("subagents", {"max": 1}, subagents=agents) == "fail"
        assert verdict("subagents", {"banned": ["Pl*"]}, subagents=agents) == "fail"
        assert verdict("subagents", {"required": ["Review"]}, subagents=agents) == "fail"

    @pytest.mark.parametrize("written", ["Explore", "explore", "EXP*", "ops:explore"])
    def test_letter_case_is_no_other_type(self, written: str) -> None:
        agent = (SubAgent(id="a", type="Ops:Explore"),)
        assert verdict("subagents", {"banned": [written]}, subagents=agent) == "fail"
        assert verdict("subagents", {"required": [written]}, subagents=agent) == "pass"

    def test_launches_without_a_record_of_their_own(self) -> None:
        launch = make_call("Task", {"subagent_type": "Explore"}, id="toolu_x")
        assert verdict("subagents", {"required": ["Explore"], "max": 1}, launch) == "pass"
        assert verdict("subagents", {"max": 0}, launch) == "fail"
        agent = (SubAgent(id="a", type="Explore", parent_call_id="toolu_x"),)
        assert verdict("subagents", {"max": 1}, launch, subagents=agent) == "pass"
        assert verdict("subagents", {"max": 0}, make_call("Agent", outcome="unknown")) == "unknown"

    def test_a_denied_launch_breaks_a_ban_and_is_no_sub_agent(self) -> None:
        launch = make_call("Task", {"subagent_type": "Explore"}, outcome="denied")
        assert verdict("subagents", {"banned": ["Explore"]}, launch) == "fail"
        assert verdict("subagents", {"max": 0}, launch) == "pass"

    def test_a_call_without_type_is_the_general_one(self) -> None:
        assert verdict("subagents", {"banned": ["general-purpose"]}, make_call("Task")) == "fail"

    def test_unrecorded_types(self) -> None:
        agents = (SubAgent(id="a"),)
        assert verdict("subagents", {"banned": ["Explore"]}, subagents=agents) == "unknown"
        assert verdict("subagents", {"required": ["Explore"]}, subagents=agents) == "unknown"


@pytest.mark.parametrize("name", ["deployer", "ops:deployer", "ops:*", "deploy*"])
def test_a_plugins_agent_is_meant_with_and_without_the_plugin(name: str) -> None:
    ran = make_session(subagents=(SubAgent(id="a", type="ops:deployer"),))
    assert judge("subagents", {"banned": [name]}, ran).verdict == "fail"
    assert judge("subagents", {"required": [name]}, ran).verdict == "pass"
    assert judge("subagents", {"banned": ["ops"]}, ran).verdict == "pass"
