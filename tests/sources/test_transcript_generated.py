"""The benchmark's transcripts: the same for the same seed, and read without a complaint."""

from __future__ import annotations

import pytest

from benchmarks.generate import parse_size, transcript
from skilltrace_mlflow.sources.transcript.reader import parse_transcript


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    first = b"".join(transcript(200_000, seed=3))
    assert first == b"".join(transcript(200_000, seed=3))
    assert first != b"".join(transcript(200_000, seed=4))
    assert 200_000 <= len(first) < 400_000


@pytest.mark.parametrize("seed", range(3))
def test_generated_transcripts_are_whole_sessions(seed: int) -> None:
    session = parse_transcript(transcript(300_000, seed=seed))
    assert session.diagnostics == ()
    assert session.incomplete == ()
    assert session.usage_complete
    assert len(session.tool_calls) > 20
    assert session.files


@pytest.mark.parametrize(
    ("text", "size"),
    [("10KB", 10_000), ("1.5GB", 1_500_000_000), ("4096", 4096), ("5m", 5_000_000)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size
