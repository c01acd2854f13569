"""The pairs of rules and calls that were played on the real CLI: the check decides as it did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recorder.permission_pairs import Pair
from tests.recorder.permissions_oracle import verdict_on

PAIRS = Path(__file__).resolve().parents[1] / "data" / "permissions" / "pairs.jsonl"


def _rows() -> Iterator[dict]:
    yield from map(json.loads, PAIRS.read_text(encoding="utf-8").splitlines())


def _settings() -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for row in _rows():
        name = f"{json.dumps(row.get('files') or row['rules'])} {row['mode']}"
        found.setdefault(" ".join([name, *row.get("add_dirs", ())]), []).append(row)
    return found


@pytest.mark.parametrize("setting", sorted(_settings()))
def test_as_the_cli_decided(setting: str) -> None:
    different = []
    for row in _settings()[setting]:
        more = row.pop("more", None)
        verdict = verdict_on(Pair(**row))
        right = {"fail", "unknown"} if row["blocked"] or more else {"pass"}
        if verdict not in right:
            different.append((verdict, row["tool"], row["input"]))
    assert different == []


def test_there_are_pairs_of_both_kinds() -> None:
    decisions = [row["blocked"] for row in _rows()]
    assert len(decisions) > 150
    assert 0.2 < sum(decisions) / len(decisions) < 0.8
