"""Commands that only carry another command: `sudo`, `env`, `xargs`, `sh -c`, `find -exec`, …

`carried(command)` gives what is carried: a tuple of words, or a text that a shell will read. Where
an option is not known, both readings are given (its next word may be its value or the command).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skilltrace_mlflow.checks._shell import UNKNOWN, UNKNOWN_WORDS, Command

__all__ = ["carried", "program_of"]

Carried = tuple[str, ...] | str


@dataclass(frozen=True, kw_only=True)
class _Prefix:
    """A command whose operands are a command: the options that take a value, the flags that do
    not, how many operands come first, and whether assignments may."""

    valued: str = ""
    flags: str = ""
    operands: int = 0
    assignments: bool = False


_PREFIXES: Mapping[str, _Prefix] = {
    "sudo": _Prefix(
        valued="-u -g -h -p -C -T -R -D -r -t -U --user --group --host --prompt --chroot --chdir "
        "--close-from --command-timeout --role --type --other-user",
        flags="-A -b -E -e -H -i -K -k -l -n -P -S -s -V -v --askpass --background --preserve-env "
        "--set-home --login --non-interactive --stdin --shell",
        assignments=True,
    ),
    "doas": _Prefix(valued="-u -C -a", flags="-L -n -s"),
    "env": _Prefix(
        valued="-u -C --unset --chdir -P",
        flags="-i -0 -v --ignore-environment --null --debug -",
        assignments=True,
    ),
    "nice": _Prefix(valued="-n --adjustment"),
    "ionice": _Prefix(valued="-c -n -p --class --classdata", flags="-t --ignore"),
    "nohup": _Prefix(),
    "setsid": _Prefix(flags="-c -f -w --ctty --fork --wait"),
    "timeout": _Prefix(
        valued="-s -k --signal --kill-after",
        flags="--foreground --preserve-status -v --verbose",
        operands=1,
    ),
    "gtimeout": _Prefix(valued="-s -k --signal --kill-after", operands=1),
    "time": _Prefix(valued="-f -o --format --output", flags="-p -v -a -q"),
    "stdbuf": _Prefix(valued="-i -o -e --input --output --error"),
    "chroot": _Prefix(valued="--userspec --groups", operands=1),
    "command": _Prefix(flags="-p"),
    "builtin": _Prefix(),
    "exec": _Prefix(valued="-a", flags="-c -l -cl -lc"),
    "busybox": _Prefix(),
    "toybox": _Prefix(),
    "xargs": _Prefix(
        valued="-I -n -P -d -E -L -s -a --max-args --max-procs --delimiter --replace --arg-file "
        "--max-lines --max-chars --eof",
        flags="-0 -r -t -p -x -i -l -e --null --no-run-if-empty --verbose --interactive --exit "
        "--open-tty -o",
    ),
    "parallel": _Prefix(valued="-j --jobs -a --arg-file -d --delimiter -n -N -S --sshlogin"),
    "strace": _Prefix(valued="-e -o -p -s -u -E -P -O -S -a -b -I -X"),
    "ltrace": _Prefix(valued="-e -o -p -s -u -n -a -l"),
    "unbuffer": _Prefix(flags="-p"),
    "caffeinate": _Prefix(valued="-t -w"),
    "firejail": _Prefix(),
    "unshare": _Prefix(),
    "runuser": _Prefix(valued="-u -g -G -c --user --command", flags="-l -m -p --login"),
    "npx": _Prefix(valued="-p --package -c --call", flags="-y --yes --no -q --no-install"),
    "bunx": _Prefix(),
    "uvx": _Prefix(valued="--from --with --python -p --index --index-url"),
    "pipx run": _Prefix(valued="--spec --python --pip-args"),
    "uv run": _Prefix(
        valued="--with --python -p --project --directory --extra --group --package --env-file "
        "--with-requirements --index-url --cache-dir --config-file --color",
        flags="--no-sync --frozen --locked --isolated --all-extras --no-project --active --quiet "
        "-q --offline --no-cache",
    ),
    "poetry run": _Prefix(),
    "pdm run": _Prefix(),
    "hatch run": _Prefix(),
    "pipenv run": _Prefix(),
    "rye run": _Prefix(),
    "bundle exec": _Prefix(),
    "npm exec": _Prefix(valued="--package -c --call"),
    "pnpm exec": _Prefix(),
    "pnpm dlx": _Prefix(),
    "yarn exec": _Prefix(),
    "yarn dlx": _Prefix(),
    "conda run": _Prefix(valued="-n -p --name --prefix --cwd", flags="--no-capture-output -v"),
    "mamba run": _Prefix(valued="-n -p --name --prefix --cwd", flags="--no-capture-output -v"),
    "mise exec": _Prefix(),
    "direnv exec": _Prefix(operands=1),
    "nix develop": _Prefix(valued="-c --command"),
    "docker exec": _Prefix(
        valued="-e -u -w --env --user --workdir --env-file --detach-keys",
        flags="-i -t -it -ti -d --interactive --tty --detach --privileged",
        operands=1,
    ),
    "docker run": _Prefix(
        valued="-e -u -w -v -p -h -l -m --env --user --workdir --volume --publish --name --network "
        "--net --mount --entrypoint --env-file --label --memory --cpus --platform --pull --restart "
        "--hostname --add-host --device --gpus --ulimit --tmpfs --cap-add --cap-drop --ipc --pid "
        "--security-opt --shm-size --log-driver --expose --dns",
        flags="-i -t -it -ti -d -P --interactive --tty --detach --rm --privileged --init "
        "--read-only",
        operands=1,
    ),
    "docker compose exec": _Prefix(
        valued="-e -u -w --env --user --workdir --index", flags="-T -d --no-TTY", operands=1
    ),
    "docker compose run": _Prefix(
        valued="-e -u -w -v -p --env --user --workdir --volume --publish --name --entrypoint",
        flags="-T -d --rm --no-deps --build",
        operands=1,
    ),
    "kubectl exec": _Prefix(
        valued="-n -c --namespace --container --context -f", flags="-i -t -it -ti -q", operands=1
    ),
}
_SYNONYMS = {
    "podman": "docker",
    "nerdctl": "docker",
    "oc": "kubectl",
    "docker-compose": "docker compose",
}
_SHELLS = {"sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "mksh", "rbash"}
_TEXT_OPTION = {  # options whose value is a command line for a shell
    "su": ("-c", "--command"),
    "runuser": ("-c", "--command"),
    "script": ("-c", "--command"),
    "flock": ("-c", "--command"),
    "npx": ("-c", "--call"),
    "env": ("-S", "--split-string"),
}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=", re.DOTALL)
_SSH_VALUED = {f"-{letter}" for letter in "bBcDEeFIiJLlmOopQRSWw"}


def program_of(word: str) -> str:
    """The name of a program without its folder; `rm.exe` is `rm`."""
    name = word.replace("\\", "/").rsplit("/", 1)[-1]
    return name[:-4] if name.lower().endswith(".exe") else name


def carried(command: Command) -> list[Carried]:
    """What a command runs besides itself; texts are for a shell to read."""
    words = command.words
    program = program_of(words[0])
    rest = list(words[1:])
    found: list[Carried] = []
    if program in _SHELLS:
        found.extend(_shell(rest, command.stdin))
    elif program == "eval":
        found.append(" ".join(rest).replace(UNKNOWN_WORDS, UNKNOWN))
    elif program == "trap":
        operands = [word for word in rest if not word.startswith("-")]
        found.extend(operands[:1] if len(operands) > 1 else [])
    elif program in ("source", ".") and rest:
        found.extend(_file(rest[0], command.stdin))
    elif program == "find":
        found.extend(_find(rest))
    elif program in ("fd", "fdfind"):
        found.extend(_after(rest, ("-x", "-X", "--exec", "--exec-batch")))
    elif program == "ssh":
        found.extend(_ssh(rest))
    elif program == "watch":
        found.extend(_watch(rest))
    elif program == "flock":
        found.extend(_flock(rest))
    if program in _TEXT_OPTION:
        found.extend(_values(rest, _TEXT_OPTION[program]))
    found.extend(_prefixed(program, rest))
    return [item for item in found if item and item != words]


def _prefixed(program: str, rest: list[str]) -> list[Carried]:
    full = _SYNONYMS.get(program, program).split()
    words = [*full, *rest]
    for size in (3, 2, 1):
        known = _PREFIXES.get(" ".join(words[:size]))
        if known is None and size == 2 and full[0] in ("docker", "kubectl", "uv"):
            # global options may stand before the subcommand: docker --context x exec ...
            for sub in ("exec", "run"):
                if sub in words and f"{full[0]} {sub}" in _PREFIXES:
                    at = words.index(sub)
                    return _tails(words[at + 1 :], _PREFIXES[f"{full[0]} {sub}"])
        if known is not None:
            if words[0] == "command" and words[1:2] and words[1] in ("-v", "-V"):
                return []  # asks where a command is, runs nothing
            return _tails(words[size:], known)
    return []


def _tails(words: Sequence[str], prefix: _Prefix) -> list[Carried]:
    """The command behind options, operands and assignments; several where that is not certain."""
    valued = set(prefix.valued.split())
    flags = set(prefix.flags.split())
    found: list[Carried] = []
    index = 0
    operands = prefix.operands
    while index < len(words):
        word = words[index]
        if word == "--":
            tail = tuple(words[index + 1 + operands :])
            return [*found, tail] if tail else found
        if word.startswith("-") and len(word) > 1:
            name = word.split("=", 1)[0]
            if name in valued and "=" not in word:
                index += 2
                continue
            short = word[:2]
            clustered = not word.startswith("--") and len(word) > 2
            if clustered and short in valued and word not in flags:
                index += 1  # -n10
                continue
            if clustered and word not in flags and f"-{word[-1]}" in valued:
                index += 2  # -nu root: the last of a cluster takes the value
                continue
            numeric = word[1:].isdigit()
            cluster = clustered and all(f"-{letter}" in flags for letter in word[1:])
            known = name in flags or numeric or "=" in word or cluster
            if not known and index + 2 < len(words) and not words[index + 1].startswith("-"):
                found.extend(_tails(words[index + 2 :], prefix))
            index += 1
            continue
        if prefix.assignments and _ASSIGNMENT.match(word):
            index += 1
            continue
        if operands > 0:
            operands -= 1
            index += 1
            continue
        break
    tail = tuple(words[index:])
    return [*found, tail] if tail else found


def _shell(words: list[str], stdin: str | None) -> list[Carried]:
    text_follows = False
    index = 0
    while index < len(words):
        word = words[index]
        if word in ("-o", "+o", "-O", "+O", "--rcfile", "--init-file"):
            index += 2
            continue
        if word.startswith(("-", "+")) and len(word) > 1:
            if not word.startswith("--") and "c" in word:
                text_follows = True
            index += 1
            continue
        break
    operands = words[index:]
    if text_follows:
        return [operands[0].replace(UNKNOWN_WORDS, UNKNOWN)] if operands else []
    if not operands or "-s" in words:
        return [stdin] if stdin is not None else []
    return _file(operands[0], stdin)


def _file(name: str, stdin: str | None) -> list[Carried]:
    """A script that a shell reads from a file: known only if the file is the standard input."""
    if name in ("-", "/dev/stdin"):
        return [stdin] if stdin is not None else []
    return [UNKNOWN] if name.startswith("/dev/fd/") else []  # bash <(curl ...)


def _find(words: list[str]) -> list[Carried]:
    found: list[Carried] = []
    for index, word in enumerate(words):
        if word in ("-exec", "-execdir", "-ok", "-okdir"):
            inner: list[str] = []
            for part in words[index + 1 :]:
                if part in (";", "+"):
                    break
                inner.append(part)
            found.append(tuple(inner))
    return found


def _after(words: list[str], options: tuple[str, ...]) -> list[Carried]:
    return [tuple(words[i + 1 :]) for i, word in enumerate(words) if word in options]


def _ssh(words: list[str]) -> list[Carried]:
    index = 0
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in _SSH_VALUED else 1
    remote = words[index + 1 :]
    return [" ".join(remote).replace(UNKNOWN_WORDS, UNKNOWN)] if remote else []


def _watch(words: list[str]) -> list[Carried]:
    index = 0
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in ("-n", "--interval") else 1
    return [" ".join(words[index:])] if words[index:] else []


def _flock(words: list[str]) -> list[Carried]:
    return _tails(words, _Prefix(valued="-w -E --timeout --conflict-exit-code", operands=1))


def _values(words: list[str], options: tuple[str, ...]) -> list[Carried]:
    found: list[Carried] = []
    for index, word in enumerate(words):
        for option in options:
            if word == option and index + 1 < len(words):
                found.append(words[index + 1])
            elif option.startswith("--") and word.startswith(option + "="):
                found.append(word[len(option) + 1 :])
            elif not option.startswith("--") and word.startswith(option) and len(word) > 2:
                found.append(word[2:])
    return found
