"""Commands and options under their other names, each a ban in either spelling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skilltrace_mlflow.commands.operands import _SAME_COMMAND, _SAME_SUBCOMMAND
from tests.checks.judging import bash, verdict


def banned(entry: str, command: str) -> str:
    return verdict("banned_tools", [entry], bash(command))


_NAMES = [
    (program, *pair)
    for table in (_SAME_COMMAND, _SAME_SUBCOMMAND)
    for program, names in table.items()
    for pair in names.items()
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_NAMES), st.booleans())
def test_a_subcommand_under_its_other_name(names: tuple[str, str, str], swapped: bool) -> None:
    program, one, other = names
    if swapped:
        one, other = other, one
    assert banned(f"{program} {one}", f"{program} {other} x") == "fail"
    assert banned(f"{program} {one}", f"{program} --unheard {other}x") != "fail"


@pytest.mark.parametrize(
    ("entry", "command"),
    [
        ("python -c", 'python3 -c "x"'),
        ("python3 -m http.server", "python -m http.server 80"),
        ("python setup.py", "python3.12 setup.py install"),
        ("node -e", "nodejs -e 1"),
        ("rm -rf", "grm -rf x"),
        ("sed -i", "gsed -i s/a/b/ f"),
        ("fly deploy", "flyctl deploy"),
        ("mkfs", "sudo mkfs.ext4 /dev/sda1"),
        ("source", ". ./x.sh"),
        ("redis-cli flushall", "redis-cli -h x FLUSHALL"),
        ("systemctl stop nginx", "systemctl stop nginx.service"),
        ("chmod +x", "chmod u+x a"),
        ("terraform apply", "terraform apply x"),
        ("git switch --discard-changes", "git switch -f main"),
        ("rsync --delete", "rsync -a --delete-after a b"),
        ("grep -r", "grep -R x"),
        ("curl -d", "curl --data-raw x https://x"),
        ("curl -X POST", "curl -d a=b https://x"),
        ("curl -X PUT", "curl -T f https://x"),
        ("gh api -X POST", "gh api repos/a/b/issues -f title=x"),
        ("apt-get remove --purge", "apt-get purge x"),
        ("apt-get purge", "apt-get remove --purge -y x"),
        ("docker rmi", "podman image rm x"),
    ],
)
def test_another_name_is_the_same(entry: str, command: str) -> None:
    assert banned(entry, command) == ("unknown" if "podman" in command else "fail")


@pytest.mark.parametrize(
    ("entry", "command"),
    [
        ("apt install", "apt-get install x"),
        ("terraform apply", "terragrunt run-all apply"),
        ("mysql -e", "mariadb -e x"),
        # an option in no table, with its value attached
        ("pytest -n auto", "pytest -nauto"),
        ("pytest -nauto", "pytest -n auto"),
    ],
)
def test_what_may_be_the_same_is_not_known(entry: str, command: str) -> None:
    assert banned(entry, command) == "unknown"


@pytest.mark.parametrize(
    ("entry", "command"),
    [
        ("python2 x.py", "python3 x.py"),
        ("curl -X POST", "curl -G -d a=b https://x"),
        ("curl -X POST", "curl -X PUT -d a=b https://x"),
        ("curl -X POST", "curl https://x"),
        ("gh api -X POST", "gh api repos/a/b -q .name"),
        ("apt-get purge", "apt-get remove x"),
        ("chmod 777", "chmod 644 777"),
        ("chmod +x", "chmod g+x a"),
        ("redis-cli flushall", "redis-cli get flushall"),
        ("git remote remove", "git remote add rm"),
        ("docker rmi", "docker image ls rm"),
        ("gh pr create", "gh pr view new"),
        ("pytest -n auto", "pytest -n4"),
        ("next build", "pnpm add next build"),
    ],
)
def test_what_is_another_thing_passes(entry: str, command: str) -> None:
    assert banned(entry, command) == "pass"
