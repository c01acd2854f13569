"""A program that nobody knows hides nothing of what stands behind it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.commands._leave_alone import LEAVE_ALONE
from skilltrace_mlflow.commands._wrapper_table import CARRIERS, PREFIXES
from skilltrace_mlflow.commands.prefilter import may_compose
from skilltrace_mlflow.errors import ParameterError
from tests.builders import make_call
from tests.checks.judging import bash, parse, verdict


def banned(entry: str, command: str) -> str:
    return verdict("banned_tools", [entry], bash(command))


_VIOLATIONS = [
    ("git push", "git push origin main"),
    ("rm -rf", "rm -r --force x"),
    ("npm publish", "npm publish --tag next"),
    ("kubectl delete", "kubectl -n prod delete pod web"),
    ("curl", "curl -s https://x"),
]
_NAMES = st.from_regex(r"[a-z][a-z0-9_-]{2,8}", fullmatch=True).filter(
    lambda name: name not in LEAVE_ALONE | CARRIERS
)
_FRONT = st.lists(st.sampled_from(["--", "-q", "run", "--retries 3", "--name=x"]), max_size=2)


@settings(deadline=None)
@given(st.sampled_from(_VIOLATIONS), _NAMES, _FRONT)
def test_an_unknown_program_in_front_never_makes_a_pass(
    case: tuple[str, str], name: str, front: list[str]
) -> None:
    entry, command = case
    assert banned(entry, command) == "fail"
    assert banned(entry, f"{name} {command}") == "unknown"
    # behind `run --` it is taken for certain
    assert banned(entry, " ".join([name, *front, command])) in ("fail", "unknown")
    assert banned(entry, " ".join([name, "sudo", command])) == "unknown"
    assert banned(entry, f"sudo {name} {command}") == "unknown"
    assert banned(entry, f"{name} sh -c '{command}'") == "unknown"


@settings(deadline=None)
@given(st.sampled_from(_VIOLATIONS), st.data())
def test_quotes_and_blanks_never_change_a_verdict(
    case: tuple[str, str], data: st.DataObject
) -> None:
    entry, command = case
    written = []
    for word in command.split():
        quote = data.draw(st.sampled_from(["", "'", '"']))
        written.append(f"{quote}{word}{quote}")
    blank = data.draw(st.sampled_from([" ", "   ", " \\\n ", "\t"]))
    assert banned(entry, blank.join(written)) == "fail"


# words that the grammar reads in ways of its own
_GRAMMAR = {
    ":", ".", "[", "[[", "alias", "declare", "export", "fc", "let", "local", "readonly", "select",
    "typeset", "unset",
}  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(sorted(LEAVE_ALONE - CARRIERS)), st.sampled_from(_VIOLATIONS))
def test_programs_that_leave_their_operands_alone_run_none(
    name: str, case: tuple[str, str]
) -> None:
    entry, command = case
    program = entry.split()[0]
    if name in _GRAMMAR or name == program:
        return
    assert banned(entry, f"{name} {command}") == "pass"


@pytest.mark.parametrize(
    "front",
    [
        "rtk",
        "rtk proxy",
        "bunx",
        "npm x --",
        "pnpm dlx",
        "micromamba run -n env",
        "pixi run -e dev",
        "poetry -C sub run",
        "uv --directory sub run --with x",
        "mise -C sub exec node@22 --",
        "devcontainer exec --workspace-folder .",
        "limactl shell default",
        "oc rsh -c web pod/x",
        "apptainer exec --bind /x image.sif",
        "srun -N 1 --mem=4G",
        "mpirun -np 4",
        "watchexec -e py --",
        "gum spin --title 'A b' --",
        "flatpak-spawn --host",
        "script -q /dev/null",
        "pueue add --",
        "nvm exec 20",
        "docker --context far compose -p x exec -T web",
        "docker compose run --rm web",
        "retry -t 3 --",
        "npx --yes --package x",
        "systemd-inhibit --what=sleep",
    ],
)
@pytest.mark.parametrize("case", _VIOLATIONS[:2])
def test_known_launchers_run_what_stands_behind_them(front: str, case: tuple[str, str]) -> None:
    entry, command = case
    assert banned(entry, f"{front} {command}") == "fail"


@pytest.mark.parametrize(
    ("entry", "command"),
    [
        ("kubectl delete", "sudo k3s kubectl delete ns x"),
        ("kubectl delete", "minikube -p dev kubectl -- delete pod x"),
        ("npm publish", "npx npm@10 publish"),
        ("npm publish", "corepack npm publish"),
        ("git push", "git -c alias.p='push -f' p origin"),
        ("rm -rf", "docker run --entrypoint /bin/sh img -c 'rm -rf x'"),
        ("rm -rf", "docker compose run --entrypoint 'rm -rf x' web"),
        ("rm -rf", "echo 'rm -rf x' | tee >(sh)"),
        ("rm -rf", r"printf '\162m -rf x' | sh"),
        ("rm -rf", r"printf '\x72\x6d -rf x' | bash"),
        ("rm -rf", r"echo -e '\x72m -rf x' | sh"),
        ("rm -rf", "env '-Srm -rf x'"),
        ("rm -rf", "tar cf a x --checkpoint-action=exec='rm -rf x'"),
        ("pip install", "python -W ignore -X utf8 -m pip install x"),
        ("pip install", "python3 -mpip install x"),
    ],
)
def test_what_hides_a_command(entry: str, command: str) -> None:
    assert banned(entry, command) == "fail"


@pytest.mark.parametrize("program", ["/bin/r[m]", "/bin/?m", "/bin/r*", "/bin/[a-z]m"])
def test_a_program_that_the_shell_looks_for_may_be_the_banned_one(program: str) -> None:
    assert banned("rm -rf", f"{program} -rf x") == "unknown"


def test_the_prefilter_knows_every_carrier_of_the_table() -> None:
    for name in {key.split()[0] for key in PREFIXES}:
        assert may_compose(f"{name} $TOOL -rf x"), name


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"command": "rm", "args": ["-rf", "build"]}, "fail"),
        ({"cmd": "bash", "arguments": ["-c", "rm -rf build"]}, "fail"),
        ({"command": "rm", "args": "-r -f build"}, "fail"),
        ({"command": ["rm"], "args": ["-rf", "x"]}, "fail"),
        ({"commands": ["ls", "rm -rf x"]}, "fail"),
        ({"command": "echo", "args": ["rm -rf x"]}, "pass"),
        ({"command": "ls", "args": ["-la"]}, "pass"),
    ],
)
def test_shell_tools_of_servers_with_arguments_apart(given: dict, expected: str) -> None:
    assert verdict("banned_tools", ["rm -rf"], make_call("mcp__shell__run", given)) == expected


@pytest.mark.parametrize(
    "entry",
    ["Bash(rm -rf", "Bash (rm:*)", "! git push", "!rm", 'git commit -m "x', "DROP TAB*", "rm )x"],
)
def test_a_pattern_that_can_never_be_met_is_refused(entry: str) -> None:
    with pytest.raises(ParameterError):
        parse("banned_tools", [entry])


def test_a_doubt_says_its_reason() -> None:
    from tests.builders import make_session
    from tests.checks.judging import judge

    session = make_session([bash("frob git push")])
    said = judge("banned_tools", ["git push"], session).rationale
    assert "frob is not known" in said
