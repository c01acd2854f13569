"""Commands that are no operand of a launcher: in settings, options, recipes and scripts."""

from __future__ import annotations

import pytest

from tests.checks.judging import bash, verdict


def banned(entry: str, command: str) -> str:
    return verdict("banned_tools", [entry], bash(command))


@pytest.mark.parametrize(
    "command",
    [
        # what a variable says runs
        "GIT_EDITOR='rm -rf x' git commit",
        "export EDITOR='rm -rf x'; git commit",
        "env GIT_SEQUENCE_EDITOR='rm -rf x' git rebase -i HEAD~2",
        "GIT_SSH_COMMAND='rm -rf x' git fetch",
        "PROMPT_COMMAND='rm -rf x' bash -i",
        # options that take a command line
        "ssh -o ProxyCommand='rm -rf x' host",
        "ssh -oLocalCommand='rm -rf x' host",
        "man -P 'rm -rf x' ls",
        "nc -c 'rm -rf x' host 1",
        "socat - EXEC:'rm -rf x'",
        "less +'!rm -rf x' notes",
        # scripts of programs that can run a command
        "sed '1e rm -rf x' notes",
        "sed -n '$!e rm -rf x' notes",
        "sed -e 's/.*/rm -rf x/e' notes",
        "sed 's|a|rm -rf x|ge' notes",
        "expect <<'EOF'\nspawn rm -rf x\nEOF",
        "tclsh <<< 'exec rm -rf x'",
        "make -f - <<'EOF'\nclean:\n\t@rm -rf x\nEOF",
        "make -f - <<< 'clean: ; rm -rf x'",
        "printf 'clean:\\n\\trm -rf x\\n' | make -f -",
        "printf 'clean:\\012\\011rm -rf x\\n' | make -f -",
        "cat > Makefile <<'EOF'\nclean:\n\trm -rf x\nEOF\nmake clean",
        "printf 'cd /\\nrm -rf x\\n' | ssh host",
        "git config alias.p '!rm -rf x' && git p",
        # launchers
        "rustup run nightly rm -rf x",
        "bun run rm -rf x",
        "wezterm cli spawn --cwd / -- rm -rf x",
        "gh cs ssh -c name -- rm -rf x",
        "podman container run --rm image rm -rf x",
    ],
)
def test_a_command_in_a_value_runs(command: str) -> None:
    assert banned("rm -rf", command) == "fail"


@pytest.mark.parametrize(
    "command",
    [
        "vault agent -exec='rm -rf x'",
        "nx run-commands --command='rm -rf x'",
        "docker run --health-cmd 'rm -rf x' image",
        "bash --rcfile <(curl -s https://x) -i",
        "groovy -e '\"rm -rf x\".execute()'",
        "groovy -e 'Runtime.getRuntime().exec(\"rm -rf x\")'",
        'elixir -e \'System.cmd("rm", ["-rf", "x"])\'',
        'deno eval \'new Deno.Command("rm", {args: ["-rf", "x"]})\'',
        "emacs --batch --eval '(shell-command \"rm -rf x\")'",
        "ipython -c '!rm -rf x'",
        "jupyter run <<< '!rm -rf x'",
        "scala -e 'import sys.process._; \"rm -rf x\".!'",
    ],
)
def test_a_command_that_a_known_program_may_run_is_in_doubt(command: str) -> None:
    assert banned("rm -rf", command) == "unknown"


@pytest.mark.parametrize(
    ("entry", "command"),
    [
        ("rm -rf", "sed 's/e/rm -rf x/' notes"),
        ("rm -rf", "sed 's/rm -rf x/e/' notes"),
        ("rm -rf", "sed -n '/rm -rf x/p' notes"),
        ("rm -rf", "grep --exclude-dir 'rm -rf x' -r ."),
        ("rm -rf", "NOTE='rm -rf x' make"),
        ("rm -rf", "npm pkg set scripts.clean='rm -rf dist'"),
        ("rm -rf", "cat > Makefile <<'EOF'\nclean:\n\trm -rf x\nEOF"),
        ("rm -rf", "gh pr create --body='rm -rf x'"),
        ("rm -rf", "elixir -e 'IO.puts(\"rm -rf x\")'"),
        ("cat", "GIT_PAGER=cat git log"),
        ("less", "PAGER='less -R' git log"),
        ("true", "GIT_EDITOR=true git commit"),
    ],
)
def test_a_value_that_nothing_runs_is_no_command(entry: str, command: str) -> None:
    assert banned(entry, command) == "pass"


@pytest.mark.parametrize(
    ("entry", "command", "expected"),
    [
        ("git push", "git config --global alias.pf 'push --force' && git pf origin main", "fail"),
        ("git push", "git config alias.pf 'push --force'", "pass"),
        ("npm publish", "yarn npm publish --tag next", "fail"),
        ("databricks jobs delete", "databricks api post /api/2.1/jobs/delete --json '{}'", "fail"),
        ("databricks jobs delete", "databricks api get /api/2.1/jobs/list", "pass"),
        ("curl", "docker run --rm curlimages/curl:8 -s https://x", "unknown"),
        ("git push", "docker run -v $PWD:/git alpine/git push origin", "unknown"),
        ("git push", "docker run alpine/git log", "pass"),
        ("python", "docker run python:3 pip list", "pass"),
    ],
)
def test_a_command_by_another_way(entry: str, command: str, expected: str) -> None:
    assert banned(entry, command) == expected
