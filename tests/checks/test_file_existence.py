"""expected_files: created or modified, which is neither read nor tried."""

from __future__ import annotations

from tests.builders import make_call, make_session
from tests.checks.judging import judge, verdict


class TestExpectedFiles:
    def test_created_or_edited(self) -> None:
        fields = {"cwd": "/repo", "created": ["/repo/a.sql"], "edited": ["/repo/b.py"]}
        assert verdict("file_existence", ["a.sql", "b.py"], **fields) == "pass"

    def test_alternatives_in_braces(self) -> None:
        assert verdict("file_existence", ["*.{sql,py}"], created=["/repo/a.py"]) == "pass"
        assert verdict("file_existence", ["*.{sql,py}"], created=["/repo/a.md"]) == "fail"

    def test_reading_is_not_writing(self) -> None:
        assert verdict("file_existence", ["a.sql"], read=["/repo/a.sql"]) == "fail"

    def test_a_failed_write_is_none(self) -> None:
        call = make_call("Write", {"file_path": "/repo/a.sql"}, outcome="failed")
        assert verdict("file_existence", ["a.sql"], call) == "fail"

    def test_a_write_of_unknown_outcome_is_unknown(self) -> None:
        call = make_call("Write", {"file_path": "/repo/a.sql"}, outcome="unknown")
        assert verdict("file_existence", ["a.sql"], call) == "unknown"
        assert verdict("file_existence", ["b.sql"], call) == "fail"

    def test_share_and_threshold(self) -> None:
        session = make_session([], created=["/repo/a.sql"])
        assert judge("file_existence", ["a.sql", "b.sql"], session).score == 0.5
        value = {"files": ["a.sql", "b.sql"], "threshold": 0.5}
        assert judge("file_existence", value, session).verdict == "pass"

    def test_lost_files_leave_what_was_found(self) -> None:
        fields = {"created": ["/repo/a.sql"], "missing": {"files": "some inputs are not logged"}}
        assert verdict("file_existence", ["a.sql"], **fields) == "pass"
        outcome = judge("file_existence", ["b.sql"], make_session([], **fields))
        assert outcome.verdict == "unknown"
        assert "some inputs are not logged" in outcome.rationale
