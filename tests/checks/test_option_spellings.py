"""Every spelling of an option is one option; what no table knows and could be one is unknown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.commands.arguments import read_arguments
from skilltrace_mlflow.commands.options import _lines, table_of
from tests.checks.judging import bash, verdict


def banned(entry: str, command: str) -> str:
    return verdict("banned_tools", [entry], bash(command))


def _pairs() -> list[tuple[str, str, str, bool]]:
    found = []
    for key in sorted(_lines()):
        program, *path = key.split()
        for option in set(table_of(program, tuple(path)).options.values()):
            names = sorted(option.names)
            if key in ("terraform", "vault") or len(names) < 2:
                continue
            found += [
                (key, one, other, option.takes == "=")
                for one in names
                for other in names
                if one != other
            ]
    return found


_PAIRS = _pairs()


def test_the_tables_have_the_programs_that_agents_use_most() -> None:
    programs = {key.split()[0] for key in _lines()}
    assert len(programs) > 60
    assert len(_PAIRS) > 2000


@settings(deadline=None)
@given(st.sampled_from(_PAIRS), st.sampled_from(["x", "prod", "a/b"]))
def test_renaming_an_option_by_the_table_never_changes_a_verdict(
    pair: tuple[str, str, str, bool], value: str
) -> None:
    key, one, other, valued = pair
    end = f" {value}" if valued else ""
    assert banned(f"{key} {one}{end}", f"{key} {other}{end}") == "fail"
    assert banned(f"{key} {one}", f"{key} {other}{end} y") == "fail"


@pytest.mark.parametrize(
    ("entry", "command", "expected"),
    [
        # one option
        ("docker run --detach", "docker run -itd nginx", "fail"),
        ("docker compose up -d", "docker-compose up --detach web", "fail"),
        ("kubectl delete -n prod", "kubectl delete pod x --namespace=prod", "fail"),
        ("kubectl delete -n prod", "kubectl -n prod delete pod x", "fail"),
        ("helm uninstall --namespace prod", "helm un -nprod web", "fail"),
        ("git push --force", "git push origin +main", "fail"),
        ("git push --delete", "git push origin :old", "fail"),
        ("git add -A", "git add --no-ignore-removal", "fail"),
        ("docker run --network host", "docker run --net=host x", "fail"),
        ("kubectl get secrets", "kubectl get pods,secrets", "fail"),
        ("kubectl get secrets", "kubectl get pods,services", "pass"),
        ("git clean -fdx", "git clean -x --force -d", "fail"),
        ("curl -X DELETE", "curl --request=DELETE https://x", "fail"),
        ("curl -X DELETE", "curl -sXDELETE https://x", "fail"),
        ("npm install -g", "npm i --location=global x", "fail"),
        ("kill -9", "kill -s KILL 1", "fail"),
        ("kill -9", "kill --signal=SIGKILL 1", "fail"),
        ("pkill -9", "pkill -KILL x", "fail"),
        ("cp -r", "cp -a x y", "fail"),
        ("rm -rf", "rm --r --fo x", "fail"),
        ("chmod 777", "chmod 0777 x", "fail"),
        ("chmod 777", "chmod -R a+rwx x", "fail"),
        ("terraform destroy -auto-approve", "terraform destroy --auto-approve=true", "fail"),
        # another option, another value
        ("kubectl delete -n prod", "kubectl delete pod prod -n dev", "pass"),
        ("kubectl delete -n prod", "kubectl delete ns prod", "pass"),
        ("curl -X DELETE", "curl -X GET https://x/DELETE", "pass"),
        ("curl -X PUT", "curl https://x -d PUT", "pass"),
        ("git push --force", "git push --force-with-lease", "pass"),
        ("git push --force", "git push --follow-tags", "pass"),
        ("docker run --privileged", "docker run -p 80:80 nginx", "pass"),
        ("docker run -d", "docker run -it nginx ls -d", "pass"),
        ("terraform apply -auto-approve", "terraform apply -auto-approve=false", "pass"),
        ("chmod 777", "chmod 0755 x", "pass"),
        ("npm publish", "npm run publish", "pass"),
        # which of them it is stands in no table
        ("frobnicate --force", "frobnicate -f x", "unknown"),
        ("frobnicate -f", "frobnicate --force x", "unknown"),
        ("frobnicate --force", "frobnicate --forc x", "unknown"),
        ("frobnicate --force", "frobnicate -q x", "pass"),
        ("frobnicate --force", "frobnicate --verbose x", "pass"),
        ("frobnicate --env prod", "frobnicate --env=prod", "fail"),
        ("frobnicate --env prod", "frobnicate prod --env dev", "unknown"),
    ],
)
def test_an_option_is_known_by_all_its_names(entry: str, command: str, expected: str) -> None:
    got = banned(entry, command)
    if (entry, command) == ("docker run -d", "docker run -it nginx ls -d"):
        assert got in ("pass", "fail")  # where the image's own words begin is not told apart
    else:
        assert got == expected


@pytest.mark.parametrize(
    ("entry", "command"),
    [
        ("npm test", "npm run test -- --watch=false"),
        ("npm run test", "npm t"),
        ("yarn build", "yarn run build"),
        ("pnpm test", "pnpm run test"),
        ("cargo test", "cargo +nightly test --all"),
        ("ruff check", "uvx ruff@0.14.1 check ."),
        ("eslint", "npx eslint@latest src"),
        ("pytest", "python -Im pytest -q"),
        ("pytest", "python3.12 -W error -mpytest"),
        ("pytest", "uv run -m pytest"),
        ("pytest", "coverage run --branch -m pytest"),
        ("pytest", "check() { pytest -q; }; check"),
        ("npm publish", 'again() { shift; "$@"; }; again 3 npm publish'),
        ("pytest", "run() { pytest; }; trap run EXIT"),
    ],
)
def test_a_command_that_is_required_is_found(entry: str, command: str) -> None:
    assert verdict("required_commands", [entry], bash(command)) == "pass"


def test_a_function_that_nothing_calls_did_not_run() -> None:
    line = "check() { pytest -q; }\necho defined"
    assert verdict("required_commands", ["pytest"], bash(line)) == "fail"
    assert banned("pytest", line) == "pass"


def test_values_stand_with_their_options() -> None:
    read = read_arguments("kubectl", ["-nprod", "delete", "pods/web", "--grace-period", "0"])
    assert read.values("--namespace") == ("prod",)
    assert read.values("--grace-period") == ("0",)
    assert read.operands == ("delete", "pod", "web")
