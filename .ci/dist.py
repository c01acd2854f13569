"""Build wheel and sdist of the committed tree, reproducibly: `python .ci/dist.py --outdir dist`.

With `--tag v1.2.3` the version is the tag's, and `--notes FILE` gets that release's part of
CHANGELOG.md; a tag without one is refused. With `--repository https://github.com/…` the metadata
names it, and the README's links, which a package index cannot follow into a repository that it does
not know, lead there. Built from `git archive`, so that nothing that lies around gets in; file times
are those of the commit. Needs hatchling and packaging.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import BytesParser
from pathlib import Path

from packaging.metadata import Metadata
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
_OWN = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)
# Where a link leads, if that is a path of this repository: no address and no `#place`.
_PATH = r"(?!#|[a-z]+:)([^)\s]+)\)"
_PICTURE = re.compile(r"(!\[[^\]]*\]\()" + _PATH)
_LINK = re.compile(r"(\]\()" + _PATH)
_URLS = """\
[project.urls]
Homepage = "{repository}"
Documentation = "{repository}/blob/{ref}/docs/index.md"
Changelog = "{repository}/blob/{ref}/CHANGELOG.md"
Issues = "{repository}/issues"

"""


def notes_of(changelog: str, version: str) -> str:
    """A release's part of the changelog; SystemExit if it has none."""
    parts = re.split(r"^## \[(.+?)\].*$", changelog, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True)).get(version, "").strip()
    if not found:
        raise SystemExit(f"CHANGELOG.md has no part [{version}]; write it before the tag")
    return found + "\n"


def version_of(tag: str) -> str:
    """`v1.2.3` → `1.2.3`; SystemExit for what is no version in its normal form."""
    text = tag.removeprefix("v")
    if not tag.startswith("v") or not re.match(r"\d", text) or str(Version(text)) != text:
        raise SystemExit(f"{tag}: expected v and a version, as v1.2.3")
    return text


def with_addresses(text: str, repository: str, ref: str) -> str:
    """Markdown whose links into the repository are addresses there, at `ref`."""

    def picture(found: re.Match[str]) -> str:
        # GitHub gives an SVG out as a picture only where it is asked to.
        ending = "?sanitize=true" if found[2].endswith(".svg") else ""
        return f"{found[1]}{repository}/raw/{ref}/{found[2]}{ending})"

    return _LINK.sub(rf"\1{repository}/blob/{ref}/\2)", _PICTURE.sub(picture, text))


def at_home(tree: Path, repository: str, ref: str) -> None:
    """Have metadata and README of `tree` lead to where the repository is; both are changed."""
    if not re.fullmatch(r"https://[\w.:-]+(/[\w.-]+)+", repository):
        raise SystemExit(f"{repository}: expected https://HOST/OWNER/NAME")
    readme = tree / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(with_addresses(text, repository, ref), encoding="utf-8")
    project = tree / "pyproject.toml"
    head, mark, rest = project.read_text(encoding="utf-8").partition("[project.scripts]\n")
    urls = _URLS.format(repository=repository, ref=ref)
    project.write_text(f"{head}{urls}{mark}{rest}", encoding="utf-8")


def build(outdir: Path, version: str | None = None, repository: str | None = None) -> list[Path]:
    """Wheel and sdist of HEAD in `outdir`; links lead to `repository`, where one is named."""
    git = ["git", "-C", str(ROOT)]
    moment = subprocess.check_output([*git, "log", "-1", "--format=%ct"], text=True).strip()
    outdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "tree.tar"
        subprocess.run([*git, "archive", "-o", str(archive), "HEAD"], check=True)
        tree = Path(folder) / "tree"
        with tarfile.open(archive) as tar:
            tar.extractall(tree)  # noqa: S202 - our own tree
        if version is not None:
            start = tree / "skilltrace_mlflow" / "__init__.py"
            text = start.read_text(encoding="utf-8")
            start.write_text(_OWN.sub(f'__version__ = "{version}"', text), encoding="utf-8")
        if repository is not None:
            head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
            at_home(tree, repository, head if version is None else f"v{version}")
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-d", str(outdir.resolve())],
            cwd=tree,
            env={**os.environ, "SOURCE_DATE_EPOCH": moment},
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return sorted(outdir.iterdir())


def check(wheel: Path, version: str | None) -> None:
    """The wheel is whole, its metadata valid, its version the one that was asked for."""
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        written = archive.read(name)
        assert "skilltrace_mlflow/py.typed" in archive.namelist()
    metadata = Metadata.from_email(written)
    assert version is None or str(metadata.version) == version
    assert BytesParser().parsebytes(written)["Description-Content-Type"] == "text/markdown"


def main() -> int:
    """Build and check; the files are named on standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--outdir", type=Path, default=Path("dist"))
    parser.add_argument("--tag")
    parser.add_argument("--notes", type=Path)
    parser.add_argument("--repository", help="where the links of README and metadata lead")
    given = parser.parse_args()
    version = version_of(given.tag) if given.tag else None
    if version is not None and given.notes is not None:
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        given.notes.write_text(notes_of(changelog, version), encoding="utf-8")
    made = build(given.outdir, version, given.repository)
    for path in made:
        if path.suffix == ".whl":
            check(path, version)
        sys.stdout.write(f"{path} ({path.stat().st_size:,} bytes)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
