"""Options and operands of commands, normalised so that spellings of one thing compare equal."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS
from skilltrace_mlflow.patterns.wildcard import wildcard

__all__ = [
    "Arguments",
    "flag_meets",
    "has_other_names",
    "plain_operand",
    "read_arguments",
    "same_program",
    "takes_subcommand",
]

_PIP = re.compile(r"pip[23](?:\.\d+)?")

_RECURSIVE = {"--recursive": "-r", "-R": "-r", "--force": "-f", "--verbose": "-v"}
_SAME: Mapping[str, Mapping[str, str]] = {  # long or second spelling to the one compared
    "apt": {"--yes": "-y", "--assume-yes": "-y"},
    "apt-get": {"--yes": "-y", "--assume-yes": "-y"},
    "chgrp": {"--recursive": "-R"},
    "chmod": {"--recursive": "-R"},
    "chown": {"--recursive": "-R"},
    "cp": {**_RECURSIVE, "--archive": "-a"},
    "curl": {
        "--insecure": "-k",
        "--silent": "-s",
        "--location": "-L",
        "--request": "-X",
        "--data": "-d",
        "--output": "-o",
        "--remote-name": "-O",
        "--upload-file": "-T",
        "--header": "-H",
        "--user": "-u",
    },
    "databricks": {"--target": "-t", "--profile": "-p", "--output": "-o"},
    "docker": {"--force": "-f", "--volumes": "-v", "--all": "-a"},
    "git": {
        "--force": "-f",
        "--delete": "-d",
        "--all": "-a",
        "--message": "-m",
        "--amend": "--amend",
    },
    "grep": {"--recursive": "-r", "--ignore-case": "-i"},
    "kill": {"-KILL": "-9", "-SIGKILL": "-9", "--signal": "-s"},
    "killall": {"-KILL": "-9", "-SIGKILL": "-9", "--signal": "-s"},
    "kubectl": {"--namespace": "-n", "--filename": "-f"},
    "ln": {"--symbolic": "-s", "--force": "-f"},
    "mv": {"--force": "-f", "--no-clobber": "-n"},
    "npm": {"--global": "-g", "--force": "-f", "--save-dev": "-D"},
    "pip": {"--upgrade": "-U", "--requirement": "-r", "--editable": "-e", "--yes": "-y"},
    "pkill": {"-KILL": "-9", "-SIGKILL": "-9", "--signal": "-s", "--full": "-f"},
    "rm": {**_RECURSIVE, "--dir": "-d", "--interactive": "-i"},
    "rsync": {"--recursive": "-r", "--archive": "-a"},
    "sed": {"--in-place": "-i", "--expression": "-e"},
    "tar": {"--extract": "-x", "--create": "-c", "--file": "-f"},
    "wget": {"--recursive": "-r", "--no-check-certificate": "--no-check-certificate"},
}
# Groups of subcommands whose name may be left out.
_GROUPS: Mapping[str, tuple[str, ...]] = {"docker": ("container",), "gcloud": ("alpha", "beta")}
_SAME_PROGRAM = {"pip3": "pip", "podman": "docker", "pnpm": "npm", "oc": "kubectl"}

# Subcommands with several names.
_NPM = {
    **dict.fromkeys(("add", "i", "in", "ins", "isntall"), "install"),
    **dict.fromkeys(("r", "remove", "rm", "un", "unlink"), "uninstall"),
    **dict.fromkeys(("t", "tst"), "test"),
    "run-script": "run",
}
_SAME_SUBCOMMAND: Mapping[str, Mapping[str, str]] = {
    "cargo": {"b": "build", "c": "check", "rm": "remove", "r": "run", "t": "test"},
    "helm": {"del": "uninstall", "delete": "uninstall", "un": "uninstall"},
    "npm": _NPM,
}
_KINDS = (  # of resources, by all their names; kubectl takes `ns/x` as well as `ns x`
    "configmap configmaps cm", "cronjob cronjobs cj", "daemonset daemonsets ds",
    "deployment deployments deploy", "ingress ingresses ing", "job jobs", "namespace namespaces ns",
    "node nodes no", "persistentvolume persistentvolumes pv",
    "persistentvolumeclaim persistentvolumeclaims pvc", "pod pods po", "secret secrets",
    "service services svc", "serviceaccount serviceaccounts sa", "statefulset statefulsets sts",
)  # fmt: skip
_SAME_KIND = {name: kind.split()[0] for kind in _KINDS for name in kind.split()}

# Programs whose options are words behind one dash: letters of such a word are no flags.
_LONG_SINGLE_DASH = {
    "clang", "convert", "ffmpeg", "find", "g++", "gcc", "go", "java", "javac", "magick", "nomad",
    "openssl", "packer", "terraform", "tofu", "vault", "xcodebuild",
}  # fmt: skip

# Programs whose first operand is a subcommand, with their global options: those that take a value,
# and those known to take none.
_SUBCOMMANDS: Mapping[str, tuple[str, str]] = {
    "apt": ("-o -c -t", "-y -q -qq"),
    "apt-get": ("-o -c -t", "-y -q -qq"),
    "aws": (
        "--profile --region --output --endpoint-url --query --ca-bundle",
        "--debug --no-verify-ssl --no-paginate --no-cli-pager",
    ),
    "az": ("--subscription -o --output --query", "--debug --verbose --only-show-errors"),
    "brew": ("", "-v -q -d"),
    "bundle": ("", ""),
    "cargo": ("--color --config -C -Z", "-v -q --locked --offline --frozen"),
    "conda": ("", "-v"),
    "databricks": ("-p --profile -t --target -o --output --log-level --log-file", "--debug"),
    "dnf": ("-c --releasever", "-y -q"),
    "docker": (
        "-H --host --context -c --config -l --log-level --tlscacert --tlscert --tlskey",
        "-D --debug --tls --tlsverify",
    ),
    "docker-compose": ("-f --file -p --project-name --profile --env-file", ""),
    "dotnet": ("", ""),
    "gcloud": ("--project --account --format --configuration --verbosity", "-q --quiet"),
    "gh": ("-R --repo", ""),
    "git": (
        "-C -c --git-dir --work-tree --namespace --exec-path --super-prefix --config-env",
        "-p -P --paginate --no-pager --bare --no-replace-objects --literal-pathspecs "
        "--glob-pathspecs --noglob-pathspecs --icase-pathspecs --no-optional-locks",
    ),
    "go": ("-C", ""),
    "gsutil": ("-h -o", "-m -q -D"),
    "helm": ("-n --namespace --kube-context --kubeconfig", "--debug"),
    "kubectl": (
        "-n --namespace --context --kubeconfig --cluster --user -s --server --token --as "
        "--request-timeout -l --selector",
        "--insecure-skip-tls-verify",
    ),
    "npm": ("--prefix -C --registry -w --workspace", "-g --silent -s"),
    "pip": ("--index-url --proxy --log --python", "-q -v"),
    "pnpm": ("-C --dir --filter -F", "-r -w"),
    "poetry": ("-C --directory -P --project", "-q -v -n"),
    "pulumi": ("-C --cwd -s --stack", ""),
    "snow": ("-c --connection", ""),
    "systemctl": ("-H --host -M --machine -t --type", "--user --system --now -q"),
    "terraform": ("", "-version"),
    "tofu": ("", ""),
    "uv": ("--directory --project --config-file --cache-dir --color --python", "-q -v"),
    "vault": ("-address -namespace", ""),
    "yarn": ("--cwd", ""),
    "yum": ("-c", "-y -q"),
}
_VALUED_SHORT: Mapping[str, str] = {"curl": "XHdouAbeFTmxrcKwE", "git": "Cc", "psql": "cdfhpUv"}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """`starts` are the indexes in `operands` at which a subcommand can stand; `open_ended` is true
    where words that may be options are filled in at run time.
    """

    flags: frozenset[str]
    operands: tuple[str, ...]
    starts: tuple[int, ...] = ()
    open_ended: bool = False


def takes_subcommand(program: str) -> bool:
    """Whether the program's first operand is a subcommand."""
    return _SAME_PROGRAM.get(program, program) in _SUBCOMMANDS


def flag_meets(program: str, wanted: str, flag: str) -> bool:
    """Whether a flag is what a wanted one with a star means: `-f` is `--force*`."""
    if "*" not in wanted:
        return wanted == flag
    same = _SAME.get(_SAME_PROGRAM.get(program, program), {})
    names = (flag, *(long for long, short in same.items() if short == flag))
    return any(wildcard(wanted, name) for name in names)


def has_other_names(program: str, word: str) -> bool:
    """Whether an operand goes by other names as well: `npm i` is `npm install`."""
    known = _SAME_PROGRAM.get(program, program)
    if known == "kubectl" and word in _SAME_KIND:
        return True
    return word in _SAME_SUBCOMMAND.get(known, {}).values()


def same_program(program: str) -> str:
    """The name under which one program is compared: `pip3.11` is `pip`."""
    return "pip" if _PIP.fullmatch(program) else program


def plain_operand(operand: str) -> str:
    """An operand without what changes nothing in a path: `./a//b/` is `a/b`."""
    if "/" not in operand or "://" in operand or UNKNOWN in operand:
        return operand
    cleaned = posixpath.normpath(operand)
    return "/" if cleaned == "//" else cleaned


def read_arguments(program: str, words: Sequence[str]) -> Arguments:
    """Options and operands of a program; options as single letters or long names, normalised."""
    known = _SAME_PROGRAM.get(program, program)
    same = _SAME.get(known, {})
    valued_text, plain_text = _SUBCOMMANDS.get(known, ("", ""))
    valued, plain = set(valued_text.split()), set(plain_text.split())
    attached = _VALUED_SHORT.get(known, "")
    flags: set[str] = set()
    operands: list[str] = []
    starts: list[int] = []
    settled = False  # whether the subcommand has certainly been seen
    value_of: str | None = None  # the option right before, if its value may follow
    options = True
    for word in words:
        if options and word == "--":
            options, value_of = False, None
            continue
        if options and word.startswith("-") and len(word) > 1:
            name, sign, value = word.partition("=")
            if name.startswith("--") or known in _LONG_SINGLE_DASH:
                name = name if name.startswith("--") else "-" + name
                flags.add(_same_long(name, same))
            else:
                letters, value = _cluster(word, attached)
                flags.update(_letters(letters, same))
                name, sign = f"-{letters[-1]}", "=" if value else ""
            value_of = None if sign else name
            if sign:
                operands.append(value)
            continue
        is_value = value_of is not None and value_of in valued
        may_be = value_of is not None and not is_value and value_of not in plain
        if not settled and not is_value:
            starts.append(len(operands))
            word = _SAME_SUBCOMMAND.get(known, {}).get(word, word)
            settled = not may_be and word not in _GROUPS.get(known, ())
        kind, slash, name = word.partition("/")
        if known == "kubectl" and kind in _SAME_KIND:
            operands.extend([_SAME_KIND[kind], name] if slash else [_SAME_KIND[kind]])
        else:
            operands.append(word)
        value_of = None
    flags |= _implied(known, flags, operands, starts)
    return Arguments(
        flags=frozenset(flags),
        operands=tuple(operands),
        starts=tuple(starts),
        open_ended=any(UNKNOWN_WORDS in word for word in words)
        or any(UNKNOWN in flag for flag in flags),  # rm -r$FORCE
    )


def _implied(
    program: str, flags: set[str], operands: Sequence[str], starts: Sequence[int]
) -> set[str]:
    """Flags that others, or operands, amount to."""
    sub = operands[starts[0]] if starts else ""
    if program == "git":
        if sub == "commit" and "-n" in flags:
            return {"--no-verify"}
        if sub == "branch" and {"-d", "-f"} <= flags:
            return {"-D"}
        if sub == "branch" and "-D" in flags:
            return {"-d", "-f"}
        if sub == "push" and any(word.startswith("+") for word in operands):
            return {"-f"}
    elif program in ("kill", "killall", "pkill"):
        if "-s" in flags and operands and operands[0] in ("9", "KILL", "SIGKILL"):
            return {"-9"}
    elif program == "tar" and not flags and operands and operands[0].isalpha():
        return _letters(f"-{operands[0]}", {})  # tar xzf a.tgz
    return set()


def _same_long(name: str, same: Mapping[str, str]) -> str:
    if name in same:
        return same[name]
    # getopt_long takes any unambiguous beginning: --rec is --recursive
    longer = {short for full, short in same.items() if full.startswith(name) and len(name) > 3}
    return longer.pop() if len(longer) == 1 else name


def _cluster(word: str, attached: str) -> tuple[str, str]:
    """`-sXDELETE` as the options `-sX` and the value `DELETE`, if X takes one."""
    for at in range(1, len(word) - 1):
        if word[at] in attached:
            return word[: at + 1], word[at + 1 :].removeprefix("=")
    return word, ""


def _letters(word: str, same: Mapping[str, str]) -> set[str]:
    if word in same:
        return {same[word]}
    return {same.get(f"-{letter}", f"-{letter}") for letter in word[1:]}
