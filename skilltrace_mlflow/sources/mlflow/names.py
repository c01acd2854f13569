"""What writers and readers of traces have to agree on: attributes of spans, tags of traces.

Tags say which test and skill a trace is evidence for, and which it was judged by. An evaluation
writes `skilltrace.test_id` and `skilltrace.skill` where nobody has, so that people see them on
MLflow's pages. Such words of its own must never decide what is judged the next time: a second tag
with the same text (`JUDGED_TEST`, `JUDGED_SKILL`) tells them from what somebody said.

`mlflow.genai.evaluate` copies a trace that it cannot link to its run, into the same experiment and
with the tags: where a store knows no links, and where the one request for it failed. `COPY_TAG`
tells such copies, which hold a part of the spans, from evidence.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "COPY_TAG",
    "JUDGED_SKILL",
    "JUDGED_TEST",
    "NO_RESULT",
    "RECORDS",
    "SKILL_TAG",
    "TEST_TAG",
    "TURN_ATTRIBUTE",
    "USAGE",
    "copied_from",
    "judged_tags",
    "said_skill",
    "said_test",
]

USAGE = "mlflow.chat.tokenUsage"

TURN_ATTRIBUTE = "skilltrace.turn"
"""On the root span of an imported turn: all of the record that spans have no place for."""

RECORDS = ("steps", "tool_calls", "messages", "files", "skills", "subagents")
"""The parts of a session that are spread over its turns."""

NO_RESULT = "No result found"
"""What every writer of the plugin family puts where a tool call has no result."""
TEST_TAG = "skilltrace.test_id"
SKILL_TAG = "skilltrace.skill"
JUDGED_TEST = "skilltrace.judged_as"
JUDGED_SKILL = "skilltrace.judged_skill"
COPY_TAG = "skilltrace.copy_of"


def copied_from(tags: Mapping[str, str]) -> str | None:
    """The id of the trace that this one is MLflow's copy of, None if it is none."""
    return tags.get(COPY_TAG) or None


def said_test(tags: Mapping[str, str]) -> str | None:
    """The test that somebody said a trace is evidence for, None if nobody did."""
    return _said(tags, TEST_TAG, JUDGED_TEST)


def said_skill(tags: Mapping[str, str]) -> str | None:
    """The skill that somebody said a trace is about, None if nobody did."""
    return _said(tags, SKILL_TAG, JUDGED_SKILL)


def judged_tags(held: Mapping[str, str], *, test: str, skill: str) -> dict[str, str]:
    """The tags that say what a trace was judged by, for a trace that holds some already.

    What somebody said stays. Each mark comes before what it marks: it may be the last to be set.
    """
    found: dict[str, str] = {}
    if said_test(held) is None:
        found |= {JUDGED_TEST: test, TEST_TAG: test}
    if said_skill(held) is None:
        found |= {JUDGED_SKILL: skill, SKILL_TAG: skill}
    return found


def _said(tags: Mapping[str, str], name: str, mark: str) -> str | None:
    text = tags.get(name)
    # People type tags: a blank around a name is none of its letters, and a blank alone is no name.
    return None if text is None or text == tags.get(mark) else text.strip() or None
