"""`mlflow-eval skills:/name@alias` on the Skill Registry of a real MLflow server (from 3.18 on)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from skilltrace_mlflow.cli._app import run as cli_run
from tests.driver.stores import Server

HAS_REGISTRY = hasattr(mlflow.MlflowClient, "get_skill_version_by_alias")
registry = pytest.mark.skipif(not HAS_REGISTRY, reason="make test-newest runs these")
TRACE = next(
    (Path(__file__).resolve().parents[1] / "data" / "recordings" / "demo-good").glob("*.jsonl")
)
PASSING = {"required_tools": ["Write"]}
FAILING = {"banned_tools": ["Write"]}


def content(folder: Path, *cases: dict[str, Any], gates: dict[str, float] | None = None) -> Path:
    """A skill's folder as a team registers it: with its manifest, test cases and a trace."""
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: reviewer\ndescription: d\n---\nReview.\n")
    manifest = {"skill": {"name": "reviewer"}, "quality_gates": gates or {}}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    (folder / "ground_truth.yaml").write_text(yaml.safe_dump({"test_cases": list(cases)}))
    shutil.copy(TRACE, folder / "trace.jsonl")
    return folder


def case(name: str, expectations: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "inputs": {"prompt": name},
        "outputs": {"trace_ref": "trace.jsonl"},
        "expectations": expectations,
    }


@pytest.fixture
def register(server: Server, tmp_path: Path) -> Callable[..., Any]:
    """Register content as the next version of a skill of this test's own; the client."""
    mlflow.set_tracking_uri(server.url)
    name = "r" + tmp_path.name.rstrip("0123456789").replace("_", "-")[:30].strip("-")

    def make(*cases: dict[str, Any], gates: dict[str, float] | None = None) -> Any:
        count = len(list(tmp_path.iterdir()))
        folder = content(tmp_path / f"v{count}", *cases, gates=gates)
        return mlflow.genai.register_skill(source=str(folder), name=name)

    return make


def evaluate(server: Server, uri: str, *more: str) -> int:
    store = ("--tracking-uri", server.url, "--experiment", "registry", "--no-llm")
    return cli_run(["mlflow-eval", uri, "--include-traces", *store, *more])


def alias_of(version: Any, alias: str) -> int | None:
    try:
        found = mlflow.MlflowClient().get_skill_version_by_alias(name=version.name, alias=alias)
    except mlflow.exceptions.MlflowException:
        return None
    return int(found.version)


def tags_of(version: Any) -> dict[str, str]:
    client = mlflow.MlflowClient()
    found = client.get_skill_version(name=version.name, version=version.version)
    return dict(found.tags)


@registry
def test_what_passed_is_tagged_and_promoted(
    server: Server, register: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    old = register(case("one", PASSING), gates={"required_tools": 1.0})
    client = mlflow.MlflowClient()
    client.set_skill_alias(name=old.name, alias="production", version=old.version)
    new = register(case("two", PASSING), gates={"required_tools": 1.0})
    client.set_skill_alias(name=new.name, alias="candidate", version=new.version)
    code = evaluate(server, f"skills:/{new.name}@candidate", "--promote", "production")
    assert code == 0, capfd.readouterr()
    assert alias_of(new, "production") == new.version
    tags = tags_of(new)
    assert tags["skilltrace.verdict"] == "pass"
    assert tags["skilltrace.gates"] == "required_tools passed"
    run = mlflow.MlflowClient().get_run(tags["skilltrace.run_id"])
    assert run.data.tags["skilltrace.skill_version"] == f"skills:/{new.name}/{new.version}"
    assert "skilltrace.verdict" not in tags_of(old)


@registry
def test_the_version_s_content_is_evaluated_and_not_the_latest(
    server: Server, register: Callable[..., Any]
) -> None:
    good = register(case("one", PASSING))
    bad = register(case("one", FAILING))
    assert evaluate(server, f"skills:/{good.name}/{good.version}") == 0
    assert evaluate(server, f"skills:/{good.name}") == 1
    assert tags_of(good)["skilltrace.verdict"] == "pass"
    assert tags_of(bad)["skilltrace.verdict"] == "fail"


@registry
@pytest.mark.parametrize(
    ("cases", "gates", "more", "code", "told"),
    [
        ([case("a", FAILING)], {}, (), 1, "not promoted: an expectation was not met"),
        ([case("a", FAILING)], {"banned_tools": 1.0}, (), 1, "not promoted: gate banned_tools"),
        (
            [{"id": "a", "inputs": {"prompt": "nobody asked"}, "expectations": PASSING}],
            {},
            (),
            3,
            "not promoted: a: not judged",
        ),
        (
            [case("a", PASSING), case("b", PASSING)],
            {},
            ("--test-id", "a"),
            3,
            "only some of the test cases",
        ),
    ],
    ids=["failed", "gate", "no trace", "selection"],
)
def test_what_was_not_judged_or_failed_is_never_promoted(
    server: Server,
    register: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
    cases: list[dict[str, Any]],
    gates: dict[str, float],
    more: tuple[str, ...],
    code: int | None,
    told: str,
) -> None:
    version = register(*cases, gates=gates)
    found = evaluate(
        server, f"skills:/{version.name}/{version.version}", "--promote", "production", *more
    )
    _, err = capfd.readouterr()
    assert found == code if code is not None else found in (1, 2, 3), err
    assert alias_of(version, "production") is None
    assert tags_of(version).get("skilltrace.verdict") != "pass"
    assert told in err or code is None, err


@registry
def test_what_is_not_there_is_told(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    assert evaluate(server, "skills:/nobody@production") == 2
    assert "skills:/nobody@production" in capfd.readouterr().err
    assert evaluate(server, "skills:/a/b/c") == 2
    assert "write skills:/name@alias" in capfd.readouterr().err


@registry
def test_content_without_test_cases_is_told(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mlflow.set_tracking_uri(server.url)
    (tmp_path / "SKILL.md").write_text("---\nname: bare\ndescription: d\n---\n")
    mlflow.genai.register_skill(source=str(tmp_path), name="bare")
    assert evaluate(server, "skills:/bare") == 2
    assert "register the skill's folder with them" in capfd.readouterr().err


@pytest.mark.skipif(HAS_REGISTRY, reason="this MLflow has a Skill Registry")
def test_an_older_mlflow_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli_run(["mlflow-eval", "skills:/reviewer@candidate"]) == 2
    told = capfd.readouterr().err
    assert "needs MLflow 3.18 or newer" in told
    assert len(told.strip().splitlines()) == 1


def test_only_an_alias_of_a_registered_skill_can_be_moved(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert cli_run(["mlflow-eval", "reviewer", "--promote", "production"]) == 2
    assert "skills:/name@alias" in capfd.readouterr().err
