"""Secrets out of a session before it is stored, found by detect-secrets' rules.

Every text field of the record is scanned line by line, whichever fields it has; the exceptions are
named in `_KEPT`. What is found is replaced by `[REDACTED: <kind>]`, the rest of the line stays.
"""

from __future__ import annotations

import contextlib
import re
import typing
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, cast

from skilltrace_mlflow.session import Session

__all__ = ["Redactor"]

# What the detector's rules do not know: tokens of the two services at hand, and secrets that a
# command line sets without quotes.
_OWN_RULES = (
    (
        "Secret Keyword",
        re.compile(
            r"\b[A-Z0-9_]*(?:SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|ACCESS_KEY)[A-Z0-9_]*="
            r"([^\s$'\"<>`;|&()]{6,})"
        ),
    ),
    ("Databricks Token", re.compile(r"\bdapi[0-9a-f]{32}(?:-\d)?\b")),
    ("Databricks OAuth Secret", re.compile(r"\bdose[0-9a-f]{32}\b")),
    ("Anthropic API Key", re.compile(r"\bsk-ant-[A-Za-z0-9_-]{20,}")),
)
# The detector knows a private key by its first line; the secret is what follows.
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_LEFT = re.compile(r"[A-Za-z0-9_-]+$")
_RIGHT = re.compile(r"[A-Za-z0-9_\-+/=.~]+")
# Shorter finds are words that a rule took for a value, and would be replaced all over the text.
_MIN_LENGTH = 4


# Ids, by which records refer to each other, and words that Claude Code itself chooses from a list.
_KEPT = frozenset(
    (
        *("agent", "call_id", "id", "message_id", "model", "parent_call_id", "permission_mode"),
        *("session_id", "speed", "stop_reason", "trigger", "version"),
    )
)


@cache
def _is_kept(record: type, name: str) -> bool:
    """Whether a field stays as it is: one of the exceptions, or one of a few fixed words."""
    return name in _KEPT or typing.get_origin(typing.get_type_hints(record)[name]) is typing.Literal


class Redactor:
    """Replaces secrets and counts them by kind in `found`. Not for use from several threads."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def session(self, session: Session) -> Session:
        """The session without secrets; results are loaded for it."""
        with _rules():
            clean: Session = self._record(session)
            return clean

    def _record(self, record: Any) -> Any:
        """A record of the session with every text field redacted, save the named exceptions."""
        changes: dict[str, Any] = {}
        for item in fields(record):
            if item.name == "cache":
                changes["cache"] = {}
            elif item.name == "load_result":
                changes["load_result"] = self._field(record.result)
            elif not _is_kept(cast("type", type(record)), item.name):
                changes[item.name] = self._field(getattr(record, item.name))
        return replace(record, **changes)

    def _field(self, value: Any) -> Any:
        if is_dataclass(value):
            return self._record(value)
        if isinstance(value, tuple):
            return tuple(self._field(item) for item in value)
        return self.value(value)

    def value(self, value: Any) -> Any:
        """Any JSON value, texts and keys redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._named(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def _named(self, key: str, item: Any) -> Any:
        """A value that is a secret because of its name: `{"password": "…"}`."""
        if not isinstance(item, str) or "\n" in item or not item:
            return self.value(item)
        redacted = self.text(item)
        if redacted != item:
            return redacted
        line = f'{key} = "{item}"'
        for secret, kind in self._scan(line):
            if secret == item:
                return self._replacement(kind)
        return item

    def text(self, text: str) -> str:
        """The text with every secret replaced."""
        if len(text) < _MIN_LENGTH:
            return text
        text = _PRIVATE_KEY.sub(lambda _: self._replacement("Private Key"), text)
        return "\n".join(self._line(line) for line in text.split("\n"))

    def _line(self, line: str) -> str:
        for secret, kind in self._scan(line):
            if secret in line:
                line = line.replace(secret, self._replacement(kind))
        return line

    def _replacement(self, kind: str) -> str:
        self.found[kind] += 1
        return f"[REDACTED: {kind}]"

    def _scan(self, line: str) -> list[tuple[str, str]]:
        from detect_secrets.core.scan import scan_line

        if len(line) < _MIN_LENGTH:
            return []
        found: dict[str, str] = {}
        for kind, pattern in _OWN_RULES:
            for match in pattern.finditer(line):
                found.setdefault(match.group(match.lastindex or 0), kind)
        for item in scan_line(line):
            value = _whole(item.secret_value or "", line)
            if len(value) >= _MIN_LENGTH and "[REDACTED" not in value:
                found.setdefault(value, item.type)
        # Longest first: one secret can be part of another (a token inside a URL).
        return sorted(found.items(), key=lambda pair: -len(pair[0]))


def _whole(value: str, line: str) -> str:
    """The token that a find is part of: some rules report a prefix (`ghp`) or stop too early."""
    start = line.find(value) if value else -1
    if start < 0:
        return ""
    before, after = _LEFT.search(line[:start]), _RIGHT.match(line[start + len(value) :])
    return (before.group() if before else "") + value + (after.group() if after else "")


@contextlib.contextmanager
def _rules() -> Iterator[None]:
    """detect-secrets' rules and filters without those that go by entropy alone: on a lone line they
    take every word, path and commit id for a secret.
    """
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.settings import get_settings, transient_settings

    detectors: dict[str, type] = get_mapping_from_secret_type_to_class()
    names = sorted(detector.__name__ for detector in detectors.values())
    plugins = [{"name": name} for name in names if "Entropy" not in name]
    with transient_settings({"plugins_used": plugins}):
        get_settings()
        yield
