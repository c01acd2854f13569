"""Transcripts into MLflow: one trace per user turn, once each.

`turns` cuts a session, `spans` shapes a turn as the newest plugin would, `redaction` takes secrets
out, `_store` writes, `run` does it for many files.
"""

from __future__ import annotations

from skilltrace_mlflow.importing.run import ImportReport, import_transcripts

__all__ = ["ImportReport", "import_transcripts"]
