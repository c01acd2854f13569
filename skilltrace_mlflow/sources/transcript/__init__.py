"""Claude Code transcripts to sessions."""

from skilltrace_mlflow.sources.transcript.reader import parse_transcript

__all__ = ["parse_transcript"]
