"""Operands with several spellings: subcommands, kinds of resources, file modes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = [
    "OWN_SUBCOMMANDS",
    "has_other_names",
    "plain_mode",
    "same_command",
    "same_kind",
    "same_subcommand",
    "skipped",
    "without_run",
]

_NPM = {
    **dict.fromkeys(("add", "i", "in", "ins", "isntall"), "install"),
    **dict.fromkeys(("r", "remove", "rm", "un", "unlink"), "uninstall"),
    **dict.fromkeys(("clean-install", "ic", "install-clean", "isntall-clean"), "ci"),
    **dict.fromkeys(("rum", "run-script", "urn"), "run"),
    **dict.fromkeys(("t", "tst"), "test"),
    **dict.fromkeys(("la", "ll", "ls"), "list"),
    **dict.fromkeys(("udpate", "up", "upgrade"), "update"),
    **dict.fromkeys(("info", "show", "v"), "view"),
    **dict.fromkeys(("create", "innit"), "init"),
    "adduser": "login", "c": "config", "ln": "link",
}  # fmt: skip
_DNF = {"erase": "remove", "in": "install", "rm": "remove", "up": "upgrade", "update": "upgrade"}
_SAME_SUBCOMMAND: Mapping[str, Mapping[str, str]] = {
    "brew": {"instal": "install", "ln": "link", "ls": "list", "remove": "uninstall",
             "rm": "uninstall"},
    "bun": {"a": "add", "c": "create", "i": "install", "rm": "remove"},
    "cargo": {"b": "build", "c": "check", "rm": "remove", "r": "run", "t": "test"},
    "conda": {"uninstall": "remove"},
    "dnf": _DNF,
    "helm": {"del": "uninstall", "delete": "uninstall", "dep": "dependency", "fetch": "pull",
             "hist": "history", "ls": "list", "un": "uninstall"},
    "npm": _NPM,
    "pnpm": _NPM,
    "svn": {"ci": "commit", "co": "checkout", "del": "delete", "remove": "delete",
            "rm": "delete", "st": "status", "up": "update"},
    "yarn": {"run-script": "run"},
}  # fmt: skip
# Subcommands of more than one word under another name, each as its program's help lists it.
_DOCKER_IMAGE = ("build", "history", "import", "load", "pull", "push", "save", "tag")
_GH_GROUPS = ("codespace", "gist", "issue", "label", "pr", "project", "release", "repo")
_SAME_COMMAND: Mapping[str, Mapping[str, str]] = {
    "docker": {
        **{f"image {sub}": sub for sub in _DOCKER_IMAGE},
        **dict.fromkeys(("image ls", "image list"), "images"),
        **dict.fromkeys(("image remove", "image rm"), "rmi"),
        **dict.fromkeys(("container list", "container ls", "container ps"), "ps"),
        **dict.fromkeys(("builder build", "buildx b", "buildx build"), "build"),
        **{
            f"{group} {other}": f"{group} {sub}"
            for group in ("config", "context", "network", "node", "plugin", "secret", "stack",
                          "volume")
            for other, sub in (("list", "ls"), ("remove", "rm"))
        },
        "container remove": "rm", "system info": "info",
    },
    "gh": {
        **{f"{group} new": f"{group} create" for group in _GH_GROUPS},
        **{f"{group} ls": f"{group} list" for group in (*_GH_GROUPS, "run", "secret", "workflow")},
        "co": "pr checkout", "pr co": "pr checkout", "secret remove": "secret delete",
        "variable remove": "variable delete",
    },
    "git": {"remote rm": "remote remove"},
}  # fmt: skip
_ALIKE = {
    "mamba": "conda", "micromamba": "conda", "nerdctl": "docker", "oc": "kubectl",
    "podman": "docker", "yum": "dnf",
}  # fmt: skip
# Scripts of a package that have a command of their own: `npm run test` is `npm test`.
_SCRIPTS = {"restart", "start", "stop", "test"}
_SCRIPT_RUNNERS = {"npm", "pnpm", "yarn"}
_BUN_OWN = (
    "a add audit build c completions create dev exec help i info init install link outdated pm "
    "publish patch remove repl rm run test uninstall unlink update upgrade why x"
)
_PNPM_OWN = (
    "add approve-builds audit bin c cat-file ci config create dedupe deploy dlx doctor env exec "
    "fetch find-hash help i import info init install install-test it licenses link list ln ls "
    "outdated pack patch patch-commit prune publish rb rebuild remove restart rm root run "
    "run-script server setup start stop store t test tst un unlink uninstall up update upgrade "
    "view why"
)
_YARN_OWN = (
    "add audit autoclean bin cache check config constraints create dedupe dlx exec explain global "
    "help import info init install licenses link list login logout node npm outdated owner pack "
    "patch plugin policies prune publish rebuild remove run search set stage tag team unlink "
    "unplug up upgrade upgrade-interactive version versions why workspace workspaces"
)
OWN_SUBCOMMANDS: Mapping[str, frozenset[str]] = {
    "bun": frozenset(_BUN_OWN.split()),
    "pnpm": frozenset(_PNPM_OWN.split()),
    "yarn": frozenset(_YARN_OWN.split()),
}
"""The subcommands of programs that take any other word for a script or a package's program."""
_KINDS = (  # of resources, by all their names; kubectl takes `ns/x` as well as `ns x`
    "configmap configmaps cm", "cronjob cronjobs cj", "daemonset daemonsets ds",
    "deployment deployments deploy", "ingress ingresses ing", "job jobs", "namespace namespaces ns",
    "node nodes no", "persistentvolume persistentvolumes pv",
    "persistentvolumeclaim persistentvolumeclaims pvc", "pod pods po", "secret secrets",
    "service services svc", "serviceaccount serviceaccounts sa", "statefulset statefulsets sts",
)  # fmt: skip
_SAME_KIND = {name: kind.split()[0] for kind in _KINDS for name in kind.split()}
_ANY_CASE = frozenset({"redis-cli"})  # whose commands are one in any letter case
_APT = frozenset({"apt", "apt-get", "aptitude"})
_RUNNABLE = re.compile(r"(?:a|u|ug|uo|ugo)\+x")
_OCTAL = re.compile(r"0*([0-7]{3})")
_EVERYTHING = re.compile(r"(?:a|ugo)?[=+](?=[rwx]*r)(?=[rwx]*w)(?=[rwx]*x)[rwx]+")


def same_subcommand(program: str, word: str) -> str:
    """A subcommand under the name that is compared: `npm i` is `npm install`."""
    return _SAME_SUBCOMMAND.get(_ALIKE.get(program, program), {}).get(word, word)


def has_other_names(program: str, word: str) -> bool:
    """Whether an operand goes by other names as well."""
    known = _ALIKE.get(program, program)
    if known == "kubectl" and word in _SAME_KIND:
        return True
    if known == "chmod":
        return word in ("777", "+x") or _OCTAL.fullmatch(word) is not None
    if known in _ANY_CASE or (known in _APT and word in ("purge", "remove")):
        return True
    if word in _SAME_SUBCOMMAND.get(known, {}).values():
        return True
    return any(word in names.split() for names in _SAME_COMMAND.get(known, {}).values())


def same_command(
    program: str, operands: Sequence[str], starts: Sequence[int]
) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """Operands with a subcommand of several words under the name that is compared, where it can
    begin in them, and by how many words that is longer."""
    known = _SAME_COMMAND.get(_ALIKE.get(program, program))
    if known is None:
        return tuple(operands), tuple(starts), 0
    longer = 0
    words, places = list(operands), list(starts)
    for index in reversed(range(len(places))):
        start = places[index]
        for size in (2, 1):
            name = known.get(" ".join(words[start : start + size]))
            if name is not None and start + size <= len(words):
                words[start : start + size] = name.split()
                longer = len(name.split()) - size
                places[index + 1 :] = [place + longer for place in places[index + 1 :]]
                break
    return tuple(words), tuple(place for place in places if place < len(words)), longer


def skipped(program: str, word: str) -> bool:
    """Whether a word in front of the subcommand is none: `cargo +nightly test`."""
    if program in ("terraform", "tofu"):
        return word in ("run-all", "run")  # terragrunt's
    return program in ("cargo", "rustc", "rustup") and word.startswith("+")


def same_kind(program: str, word: str) -> list[str]:
    """A resource as kind and name: `pods/web` is `pod web`; a unit without `.service`."""
    if program == "systemctl":
        return [word.removesuffix(".service")]
    if program in _ANY_CASE:
        return [word.lower()]
    if _ALIKE.get(program, program) == "kubectl":
        kinds = word.split(",")
        if len(kinds) > 1 and not _SAME_KIND.keys().isdisjoint(kinds):
            return [_SAME_KIND.get(kind, kind) for kind in kinds]  # pods,secrets
        kind, slash, name = word.partition("/")
        if kind in _SAME_KIND:
            return [_SAME_KIND[kind], name] if slash else [_SAME_KIND[kind]]
    return [word]


def plain_mode(word: str) -> str:
    """A file mode in three octal figures: `0777` and `a+rwx` are `777`; `u+x` is `+x`."""
    octal = _OCTAL.fullmatch(word)
    if octal:
        return octal.group(1)
    if _RUNNABLE.fullmatch(word):
        return "+x"
    return "777" if _EVERYTHING.fullmatch(word) else word


def without_run(program: str, operands: tuple[str, ...]) -> tuple[str, ...]:
    """`run test` of npm, pnpm and yarn as `test`; yarn runs any script by its bare name."""
    if program not in _SCRIPT_RUNNERS or operands[:1] != ("run",) or len(operands) < 2:
        return operands
    own = program == "yarn" and operands[1] not in OWN_SUBCOMMANDS["yarn"]
    return operands[1:] if own or operands[1] in _SCRIPTS else operands
