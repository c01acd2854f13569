"""Command lines in a word of their own, drop-in programs, options that are another program's."""

from __future__ import annotations

import pytest

from skilltrace_mlflow.commands.command_pattern import parse_command_pattern

_DOUBTFUL = [
    "frob -c '{}'",
    "frob --before-script='cd a && {}'",
    "frob start '{}'",
    "frob start 'cd a && sudo {}'",
    "snap run --shell app {}",
]
_CERTAIN = [
    "a[$({})]=1",
    "ip netns exec ns {}",
    "launchctl asuser 501 {}",
    "nomad alloc exec a {}",
    "adb -s d shell '{}'",
    "minikube ssh '{}'",
    "lerna exec '{}'",
    "flatpak run --command=sh app -c '{}'",
    "ls | entr -s '{}'",
    "osascript -e 'do shell script \"{}\"'",
    'aws ssm send-command --parameters \'commands=["ls","{}"]\'',
    'aws ssm send-command --parameters \'{{"commands": ["{}"]}}\'',
    "aws ssm send-command --parameters commands='{}'",
]
_SAID = [
    "bd create 'Document: {}'",
    "bd create x --description '{}'",
    "jj describe -m '{}'",
    "frob note 'what {} does'",
    "echo run {}",
    "grep -rn run '{}'",
]


@pytest.mark.parametrize("command", ["rm -rf x", "git push --force"])
@pytest.mark.parametrize("line", _CERTAIN)
def test_a_line_in_a_word_that_a_known_program_runs(line: str, command: str) -> None:
    pattern = parse_command_pattern(command)
    match = pattern.find(line.format(command))
    assert match is not None
    assert match.met


@pytest.mark.parametrize("command", ["rm -rf x", "git push --force"])
@pytest.mark.parametrize("line", _DOUBTFUL)
def test_a_line_in_a_word_that_another_program_may_run(line: str, command: str) -> None:
    match = parse_command_pattern(command).find(line.format(command))
    assert match is not None
    assert match.met is None


@pytest.mark.parametrize("command", ["rm -rf x", "git push --force"])
@pytest.mark.parametrize("line", _SAID)
def test_what_only_speaks_of_a_command_is_none(line: str, command: str) -> None:
    assert parse_command_pattern(command).find(line.format(command)) is None


@pytest.mark.parametrize(
    ("ban", "line"),
    [
        ("docker run", "podman run x"),
        ("docker rm -f", "nerdctl rm --force c"),
        ("kubectl delete", "oc delete pod x"),
        ("terraform destroy", "tofu destroy"),
        ("terraform destroy", "tofu apply -destroy"),
    ],
)
def test_a_program_that_takes_the_place_of_another(ban: str, line: str) -> None:
    match = parse_command_pattern(ban).find(line)
    assert match is not None
    assert match.met is None
    assert "takes the place of" in match.reason
    assert parse_command_pattern(line.split()[0]).find(line) is not None


@pytest.mark.parametrize(
    ("ban", "line", "met"),
    [
        ("pytest -x", "py.test -x", True),
        ("kubectl delete", "kubecolor delete x", True),
        ("helm uninstall", "microk8s helm3 uninstall x", True),
        ("pkill -9", "pkill --signal=KILL x", True),
        ("terraform destroy", "terraform apply -destroy", True),
        ("terraform destroy", "terraform apply -destroy=false", False),
        ("terraform apply", "terraform apply -destroy", True),
        ("terraform apply -destroy", "terraform destroy", True),
        ("terraform apply", "terraform destroy", False),
        ("docker run -d", "docker run image -d", False),
        ("docker run -d", "docker run --name a -d image", True),
        ("docker run --privileged", "docker compose run web x --privileged", False),
        ("docker exec -it", "docker exec c ls -it", False),
        ("ssh -A", "ssh h ls -A", False),
        ("ssh -A", "ssh h -A ls", True),
        ("aws s3 rm", "aws s3 cp rm x", False),
        ("aws s3 rm", "aws s3 --profile p rm x", True),
        ("gh pr merge", "gh pr view merge", False),
    ],
)
def test_whose_options_and_subcommands_they_are(ban: str, line: str, met: bool) -> None:
    match = parse_command_pattern(ban).find(line)
    assert bool(match and match.met) is met
    assert met or match is None


def test_a_word_behind_an_option_in_no_table_may_be_its_value() -> None:
    match = parse_command_pattern("aws s3 rm").find("aws s3 --unheard-of x rm y")
    assert match is not None
    assert match.met is None


@pytest.mark.parametrize(
    ("ban", "line"),
    [
        ("npm publish", "npm --loglevel publish"),
        ("helm uninstall", "helm --debug --qps uninstall x"),
        ("yarn publish", "yarn --mode publish"),
        ("docker compose down", "docker compose --ansi down"),
        ("go test ./...", "go test -run ./..."),
    ],
)
def test_a_table_from_a_reference_does_not_decide_by_a_swallowed_word(ban: str, line: str) -> None:
    match = parse_command_pattern(ban).find(line)
    assert match is not None
    assert not match.met


@pytest.mark.parametrize(
    ("ban", "line"),
    [
        ("npm publish", "npm --prefix web run build"),
        ("helm uninstall", "helm -n prod list"),
        ("git push", "git -C push status"),
    ],
)
def test_and_else_it_is_believed(ban: str, line: str) -> None:
    assert parse_command_pattern(ban).find(line) is None
