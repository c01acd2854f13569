"""The part of this package that travels, as text: modules found by what they import.

The text is put into a scorer's body. It is unpacked under a name of its own, made from its content,
so that another version of this package, installed or embedded, is never met.
"""

from __future__ import annotations

import ast
import base64
import functools
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import skilltrace_mlflow

__all__ = ["ENTRY", "embedded_package", "scorer_source"]

PACKAGE = "skilltrace_mlflow"
ENTRY = "databricks.travelling"
_ROOT = Path(skilltrace_mlflow.__file__).parent
_LINE = 4000
_BODY = """\
import base64, importlib, io, json, sys, tempfile, zipfile, zlib
package = {package!r}
entry = package + {entry!r}
if entry not in sys.modules:
    parts = [
{lines}
    ]
    folder = tempfile.mkdtemp(prefix=package)
    data = base64.b85decode("".join(parts))
    zipfile.ZipFile(io.BytesIO(data)).extractall(folder)
    sys.path.append(folder)
    importlib.invalidate_caches()
module = importlib.import_module(entry)
wanted = json.loads(zlib.decompress(base64.b85decode({wanted!r})))
return module.assess(trace, wanted["expectations"], wanted["metadata"])
"""


@functools.cache
def embedded_package() -> tuple[str, str]:
    """The name under which the package travels, and its modules as a zip file in base 85."""
    sources = {
        path.relative_to(_ROOT.parent).as_posix(): path.read_text("utf-8") for path in _files()
    }
    digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()[:12]
    name = f"_skilltrace_{digest}"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for place, text in sorted(sources.items()):
            renamed = text.replace(f"{PACKAGE}.", f"{name}.").replace(
                f"from {PACKAGE} import", f"from {name} import"
            )
            if place.endswith(".py"):
                renamed = _without_docstrings(renamed)
            # A fixed date: the same sources are the same text, whenever they are packed.
            entry = zipfile.ZipInfo(place.replace(PACKAGE, name, 1), (2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, renamed)
    return name, base64.b85encode(packed.getvalue()).decode("ascii")


def scorer_source(
    name: str, expectations: Sequence[Mapping[str, Any]], metadata: Mapping[str, str]
) -> str:
    """The source of a self-contained scorer function: no globals, no type hints, no docstring."""
    package, text = embedded_package()
    wanted = json.dumps({"expectations": list(expectations), "metadata": dict(metadata)})
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    body = _BODY.format(
        package=package,
        entry=f".{ENTRY}",
        lines="\n".join(f"        {line!r}," for line in lines),
        wanted=base64.b85encode(zlib.compress(wanted.encode(), 9)).decode("ascii"),
    )
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    return f"def {name}(trace):\n{indented}"


def _files() -> Iterator[Path]:
    """Files of the entry module, of every check, and of all that they import, inside functions too.

    Tables (text files) beside a module travel with it.
    """
    pending = [ENTRY, *(f"checks.{path.stem}" for path in (_ROOT / "checks").glob("*.py"))]
    seen: set[Path] = set()
    while pending:
        path = _path_of(pending.pop())
        if path is None or path in seen:
            continue
        seen.add(path)
        parent = path.parent
        while parent != _ROOT.parent:
            pending.append(".".join(parent.relative_to(_ROOT).parts))
            parent = parent.parent
        pending += _imports(path)
        yield path
        if path.name == "__init__.py" and path.parent != _ROOT:
            yield from path.parent.glob("*.txt")


def _path_of(module: str) -> Path | None:
    place = _ROOT.joinpath(*module.split(".")) if module else _ROOT
    if (place / "__init__.py").is_file():
        return place / "__init__.py"
    file = place.with_suffix(".py")
    return file if module and file.is_file() else None


def _imports(path: Path) -> Iterator[str]:
    if path == _ROOT / "__init__.py":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        for name in names:
            if name.startswith(f"{PACKAGE}."):
                yield name.removeprefix(f"{PACKAGE}.")


def _without_docstrings(source: str) -> str:
    """The same module without comments and docstrings, which nobody reads there."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body:
            continue
        first = body[0]
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = body[1:] or [ast.Pass()]
    return ast.unparse(ast.fix_missing_locations(tree))
