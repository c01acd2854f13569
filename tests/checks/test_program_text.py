"""Commands in program text and in cells of notebooks: what is spelled out there may have run."""

from __future__ import annotations

import pytest

from tests.builders import make_call
from tests.checks.judging import bash, verdict


def banned(entry: str, command: str) -> str:
    return verdict("banned_tools", [entry], bash(command))


@pytest.mark.parametrize(
    "command",
    [
        "python3 -c \"import os; os.system('git push')\"",
        "python - <<E\nimport subprocess\nsubprocess.run('git push', shell=True)\nE",
        'python -c \'import subprocess; subprocess.run(["git", "push"], check=True)\'',
        'python -c \'subprocess.check_output(args=["git", "-C", d, "push"])\'',
        'python -c \'c = ["x"]; os.execvp("git", ["git", "push"])\'',
        "python -c 'line = \"git push\"; os.popen(line)'",
        "uv run python -c 'import os; os.system(\"sudo git push\")'",
        'node -e \'require("child_process").execSync("git push")\'',
        'node -e \'const {spawn} = require("child_process"); spawn("git", ["push", "-u"])\'',
        "bun -e 'await $`git push`'",
        "ruby -e '`git push`'",
        'ruby -e \'system("git", "push")\'',
        "perl -e 'system(\"git push\")'",
        "perl -e 'print `git push`'",
        "php -r 'shell_exec(\"git push\");'",
        "awk 'BEGIN { system(\"git push\") }'",
        "lua -e 'os.execute(\"git push\")'",
        "Rscript -e 'system(\"git push\")'",
        'Rscript -e \'system2("git", "push")\'',
    ],
)
def test_a_command_in_program_text_may_run(command: str) -> None:
    assert banned("git push", command) == "unknown"
    assert verdict("required_commands", ["git push"], bash(command)) == "unknown"


@pytest.mark.parametrize(
    "command",
    [
        "python -c 'print(\"git push\")'",
        "python -c '# os.system(\"git push\")\nprint(1)'",
        "python -c 'os.system(\"git status\")'",
        'python -c \'subprocess.run(["git", "log", "--grep", "push"])\'',
        "python -c 'def system(x): pass'",
        "python -c 'subprocess.run(cmd)'",
        "node -e 'console.log(\"git push\".match(/push/))'",
        "node -e '/git push/.test(x)'",
        "awk '/git push/ { print }' log",
        "perl -ne 'print if /git push/' log",
        "ruby -e 'puts \"git push\"'",
    ],
)
def test_what_program_text_only_says_is_nobodys_command(command: str) -> None:
    assert banned("git push", command) == "pass"


def code(text: str, **more: str) -> str:
    call = make_call("mcp__jupyter__execute_code", {"code": text, **more})
    return verdict("banned_tools", ["git push"], call)


@pytest.mark.parametrize(
    "cell",
    [
        "!git push",
        "x = 1\n!git push origin main",
        "out = !git push",
        "%sh git push",
        "%sh\ngit push",
        "%%bash\ncd a\ngit push",
        "%%script bash\ngit push",
        "# MAGIC %sh\n# MAGIC git push",
        "%sx git push",
    ],
)
def test_a_cell_that_is_a_shells_runs_it(cell: str) -> None:
    assert code(cell) == "fail"


def test_the_language_of_a_tools_code() -> None:
    assert code("git push", language="bash") == "fail"
    assert code("git push", language="Shell") == "fail"
    assert code("git push") == "pass"
    assert code("print('git push')", language="python") == "pass"
    assert code("import os\nos.system('git push')") == "unknown"
    assert code("import sys.process._\nRuntime.getRuntime.exec(x)", language="scala") == "pass"


@pytest.mark.parametrize(
    ("program", "entry", "command"),
    [
        ("sqlite3", "git push", "sqlite3 a.db '.shell git push'"),
        ("psql", "git push", "psql -c '\\! git push'"),
        ("mysql", "git push", "mysql -e 'system git push'"),
        ("gdb", "git push", "gdb -batch -ex 'shell git push'"),
        ("crontab", "git push", "crontab - <<'E'\n# every day\n0 4 * * 1-5 git push\nE"),
        ("crontab", "git push", "echo '@daily cd /r && git push' | crontab -"),
        ("git", "curl", "git -c core.pager='curl https://x' log"),
        ("git", "curl", "git -c credential.helper='!curl https://x' fetch"),
        ("git", "curl", "git difftool --extcmd='curl https://x' HEAD"),
        ("tmux", "rm -rf", "tmux new-session -d rm -rf build"),
        ("nodemon", "rm -rf", "nodemon -x rm -rf build"),
        ("pnpm", "next build", "pnpm --filter web next build"),
        ("yarn", "next build", "yarn next build"),
    ],
)
def test_programs_with_a_way_to_a_shell(program: str, entry: str, command: str) -> None:
    assert banned(entry, command) == "fail", program


@pytest.mark.parametrize(
    "command",
    [
        "crontab -l | grep 'git push'",
        "sqlite3 a.db \"select '.shell git push'\"",
        "psql -c \"select 'git push'\"",
        "git -c user.name='git push' commit",
        "pnpm add git push",
        "yarn why push",
    ],
)
def test_programs_that_only_hold_the_words(command: str) -> None:
    assert banned("git push", command) == "pass"


@pytest.mark.parametrize(
    "command",
    [
        """awk 'BEGIN{system("python3 -c \\"import os; os.system('"'git push'"')\\"")}'""",
        """ruby -e 'system("perl -e \\"system(\\\\\\"git push\\\\\\")\\"")'""",
        "python3 - <<'A'\nimport os\nos.system('''python3 - <<\\'B\\'\nimport os\n"
        "os.system(\"git push\")\nB\n''')\nA",
        """perl -e 'system("case $1 in a) a=git; $a push;; esac")'""",
        "coproc { cat > /tmp/r.sh <<'EOF'\ngit push\nEOF\nbash /tmp/r.sh; }",
        "coproc WORK { git push; }",
        "expect -c 'spawn sh -c {git push}; interact'",
    ],
)
def test_texts_within_texts(command: str) -> None:
    assert banned("git push", command) in ("fail", "unknown")
    assert banned("git pull", command.replace("$a", "git")) == "pass"
