"""Reads a YAML file into plain values and remembers where each of them stands.

Only YAML's plain types are built, from the standard tags; any other (`!!python/...`) is refused.
Nesting and the number of values that aliases may expand to are bounded, so that a file of a few
lines cannot exhaust memory. Duplicate keys are problems, not silently the last one.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from skilltrace_mlflow.errors import ConfigurationError, InputError

__all__ = ["Document", "KeyPath", "Problems", "load_document", "show"]

KeyPath = tuple[str | int, ...]

# A hand-written file stays far below both; ten nested aliases of ten reach a milliard.
_MAX_DEPTH = 64
_MAX_VALUES = 200_000
_MERGE = "tag:yaml.org,2002:merge"
_STANDARD = "tag:yaml.org,2002:"
# Numbers, booleans and null are built; dates stay the text that was written, as JSON has none.
_BUILT = ("bool", "float", "int", "null")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file's values, and line and column (from 1) of each key and value by its path."""

    path: Path
    data: Any
    keys: dict[KeyPath, tuple[int, int]] = field(repr=False)
    values: dict[KeyPath, tuple[int, int]] = field(repr=False)

    def where(self, path: KeyPath, *, at_key: bool = False) -> tuple[int, int] | None:
        """Position of the value (or key) at `path`, or of the nearest thing around it."""
        tables = (self.keys, self.values) if at_key else (self.values, self.keys)
        while True:
            for table in tables:
                if path in table:
                    return table[path]
            if not path:
                return None
            path = path[:-1]


class Problems:
    """Collects what is wrong with a file, so that all of it is said at once."""

    def __init__(self, document: Document | None = None, *, where: str = "") -> None:
        self.document = document
        self.label = where
        self._found: list[tuple[tuple[int, int], str]] = []
        self._told: set[tuple[KeyPath, bool]] = set()

    def add(self, path: KeyPath, message: str, *, at_key: bool = False) -> None:
        """`message` about the value (or the key) at `path`, unless something is said of it already:
        what a value of a wrong shape leads to is no mistake of its own.
        """
        if (path, at_key) in self._told:
            return
        self._told.add((path, at_key))
        name = show(path)
        text = f"{name}: {message}" if name else message
        if self.document is None:
            self._found.append(((0, 0), f"{self.label}: {text}" if self.label else text))
            return
        position = self.document.where(path, at_key=at_key) or (1, 1)
        line, column = position
        self._found.append((position, f"{self.document.path}:{line}:{column}: {text}"))

    def __iter__(self) -> Iterator[str]:
        seen = set()
        for _, text in sorted(self._found, key=lambda item: item[0]):
            if text not in seen:
                seen.add(text)
                yield text

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_if_any(self) -> None:
        """ConfigurationError with every problem, in the order of the file."""
        if self._found:
            raise ConfigurationError(*self)


def show(path: KeyPath) -> str:
    """A path as people write it: `test_cases[0].expectations.tool_limits`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def load_document(source: str | os.PathLike[str]) -> Document:
    """The values of a YAML file and where they stand.

    Raises InputError where the file cannot be read, ConfigurationError where it is not one YAML
    document of plain values, with all duplicate keys at once.
    """
    path = Path(source).expanduser()
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8"
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory, expected a YAML file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        _measure(path, text)
        node = yaml.compose(text, Loader=_LOADER)
        if node is None:
            raise ConfigurationError(f"{path}:1:1: the file is empty")
        builder = _Builder(path)
        data = builder.build(node, ())
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ConfigurationError(
            f"{path}:{line}:{column}: a character that YAML does not allow: {error.reason}"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigurationError(_syntax_message(path, text, error)) from None
    document = Document(path=path, data=data, keys=builder.keys, values=builder.values)
    if builder.problems:
        problems = Problems(document)
        for key_path, position, message in builder.problems:
            line, column = position
            problems._found.append(
                (position, f"{path}:{line}:{column}: {show(key_path)}: {message}")
            )
        problems.raise_if_any()
    return document


def _syntax_message(path: Path, text: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place, hint = str(path), ""
    if mark:
        place = f"{path}:{mark.line + 1}:{mark.column + 1}"
        line = (text.splitlines() or [""])[min(mark.line, len(text.splitlines()) - 1)]
        if "\t" in line[: len(line) - len(line.lstrip())]:
            hint = "; indent with spaces, YAML allows no tabs there"
        else:
            hint = _quotes(line, mark.column, error.problem or "") or _open(error)
    return f"{place}: not valid YAML: {error.problem or error.context}{hint}"


def _open(error: yaml.MarkedYAMLError) -> str:
    """A hint where a line does not go on as what stands before needs it."""
    begun = error.context_mark
    if "quoted scalar" in (error.context or "") and begun is not None:
        return f"; the quote that opens on line {begun.line + 1} is not closed"
    if "flow" in (error.context or "") and begun is not None:
        return f"; the bracket that opens on line {begun.line + 1} is not closed, or not in time"
    if "did not find expected" in (error.problem or ""):
        return "; look at the indentation here, and for a bracket or a quote too many"
    return ""


def _quotes(line: str, column: int, problem: str) -> str:
    """A hint where text has to stand in quotes, because YAML reads one of its characters as a sign
    of its own.
    """
    if "mapping values are not allowed" in problem:
        return "; a colon and a blank make a key of what stands before: put such text in quotes"
    if "alphabetic or numeric" in problem or "undefined alias" in problem:
        signs, meaning = "*&", "an alias or an anchor"
    elif "cannot start any token" in problem:
        signs, meaning = "%@`", "a sign of its own"
    else:
        return ""
    begun = max(line.rfind(sign, 0, column + 1) for sign in signs)
    if begun < 0:
        return ""
    while begun and line[begun - 1] in signs:
        begun -= 1
    written = re.split(r"\s#|[,\]}]", line[begun:], maxsplit=1)[0].strip()
    return f"; YAML reads {written[:1]} as {meaning}: put it in quotes, '{written}'"


def _measure(path: Path, text: str) -> None:
    """Refuse what is nested too deep for the recursion of composing, and a second document."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            depth += 1
            if depth > _MAX_DEPTH:
                line, column = _position(event)
                raise ConfigurationError(
                    f"{path}:{line}:{column}: nested deeper than {_MAX_DEPTH} levels"
                )
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                line, column = _position(event)
                raise ConfigurationError(
                    f"{path}:{line}:{column}: a second YAML document begins here; keep one per file"
                )


class _Builder:
    """Turns a node graph into values, keeping marks; aliases are expanded within the bound."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: dict[KeyPath, tuple[int, int]] = {}
        self.values: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[tuple[KeyPath, tuple[int, int], str]] = []
        self._count = 0
        self._open: set[int] = set()
        self._scalars = yaml.SafeLoader("")

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        position = _position(node)
        self.values[path] = position
        self._count += 1
        if self._count > _MAX_VALUES:
            raise ConfigurationError(
                f"{self.path}:{position[0]}:{position[1]}: {show(path)}: aliases expand to more "
                f"than {_MAX_VALUES} values"
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._refuse_tag(node, path, "map" if isinstance(node, yaml.MappingNode) else "seq")
        if id(node) in self._open:
            raise ConfigurationError(
                f"{self.path}:{position[0]}:{position[1]}: {show(path)}: an alias refers to "
                "the value it stands in"
            )
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)  # noqa: S101 - the only kind left
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            position = _position(key_node)
            if key_node.tag == _MERGE:
                for name, value in self._merge_sources(value_node, path):
                    merged.setdefault(name, value)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append((path, position, "a key must be text, got a list or mapping"))
                continue
            name = str(key_node.value)
            inner: KeyPath = (*path, name)
            if name in own:
                line = self.keys[inner][0]
                self.problems.append(
                    (inner, position, f"duplicate key {name!r}, first on line {line}")
                )
                continue
            self.keys[inner] = position
            own[name] = self.build(value_node, inner)
        return {**merged, **own}

    def _merge_sources(self, node: yaml.Node, path: KeyPath) -> Iterator[tuple[str, Any]]:
        """Keys of `<<: *base` or `<<: [*a, *b]`, earlier sources first as they take precedence."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self.problems.append((path, _position(source), "`<<` needs a mapping to merge"))
                continue
            yield from self.build(source, path).items()

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        kind = node.tag[len(_STANDARD) :] if node.tag.startswith(_STANDARD) else ""
        if kind in _BUILT:
            if kind in ("int", "float") and ":" in node.value:
                return node.value  # 12:30 is a time, and a number in base 60 for YAML 1.1 alone
            if kind == "int" and _OCTAL.fullmatch(node.value):
                told = f"{node.value} is {int(node.value, 8)} for YAML, as it begins with 0"
                self._problem(node, path, f"{told}; write the number that is meant, or quote it")
                return None
            try:
                value = self._scalars.construct_object(node)
            except (ValueError, yaml.YAMLError):
                self._problem(node, path, f"{node.value!r} is no {kind}")
                return None
            if isinstance(value, float) and not math.isfinite(value):
                self._problem(node, path, f"{node.value} is not a finite number")
                return None
            return value
        if kind in ("str", "timestamp", "value"):
            return node.value
        self._refuse_tag(node, path, "str")
        return None

    def _refuse_tag(self, node: yaml.Node, path: KeyPath, kind: str) -> None:
        if node.tag != _STANDARD + kind:
            tag = node.tag.replace(_STANDARD, "!!", 1)
            self._problem(node, path, f"the tag {tag} is refused; use plain YAML values")

    def _problem(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.problems.append((path, _position(node), message))


def _position(thing: yaml.Node | yaml.Event) -> tuple[int, int]:
    mark = thing.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
