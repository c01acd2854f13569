"""Operands with several spellings: subcommands, kinds of resources, file modes."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = [
    "has_other_names",
    "plain_mode",
    "same_kind",
    "same_subcommand",
    "skipped",
    "without_run",
]

_NPM = {
    **dict.fromkeys(("add", "i", "in", "ins", "isntall"), "install"),
    **dict.fromkeys(("r", "remove", "rm", "un", "unlink"), "uninstall"),
    **dict.fromkeys(("t", "tst"), "test"),
    "run-script": "run",
}
_SAME_SUBCOMMAND: Mapping[str, Mapping[str, str]] = {
    "brew": {"remove": "uninstall", "rm": "uninstall"},
    "cargo": {"b": "build", "c": "check", "rm": "remove", "r": "run", "t": "test"},
    "conda": {"uninstall": "remove"},
    "helm": {"del": "uninstall", "delete": "uninstall", "un": "uninstall"},
    "npm": _NPM,
    "pnpm": _NPM,
    "yarn": {"run-script": "run"},
}
_ALIKE = {"mamba": "conda", "micromamba": "conda", "oc": "kubectl"}
# Scripts of a package that have a command of their own: `npm run test` is `npm test`.
_SCRIPTS = {"restart", "start", "stop", "test"}
_SCRIPT_RUNNERS = {"npm", "pnpm", "yarn"}
_YARN_OWN = {
    "add", "cache", "config", "dlx", "exec", "init", "install", "link", "npm", "pack", "publish",
    "remove", "run", "unlink", "up", "upgrade", "version", "workspace", "workspaces",
}  # fmt: skip
_KINDS = (  # of resources, by all their names; kubectl takes `ns/x` as well as `ns x`
    "configmap configmaps cm", "cronjob cronjobs cj", "daemonset daemonsets ds",
    "deployment deployments deploy", "ingress ingresses ing", "job jobs", "namespace namespaces ns",
    "node nodes no", "persistentvolume persistentvolumes pv",
    "persistentvolumeclaim persistentvolumeclaims pvc", "pod pods po", "secret secrets",
    "service services svc", "serviceaccount serviceaccounts sa", "statefulset statefulsets sts",
)  # fmt: skip
_SAME_KIND = {name: kind.split()[0] for kind in _KINDS for name in kind.split()}
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
        return word == "777" or _OCTAL.fullmatch(word) is not None
    return word in _SAME_SUBCOMMAND.get(known, {}).values()


def skipped(program: str, word: str) -> bool:
    """Whether a word in front of the subcommand is none: `cargo +nightly test`."""
    return program in ("cargo", "rustc", "rustup") and word.startswith("+")


def same_kind(program: str, word: str) -> list[str]:
    """A resource as kind and name: `pods/web` is `pod web`."""
    if _ALIKE.get(program, program) == "kubectl":
        kind, slash, name = word.partition("/")
        if kind in _SAME_KIND:
            return [_SAME_KIND[kind], name] if slash else [_SAME_KIND[kind]]
    return [word]


def plain_mode(word: str) -> str:
    """A file mode in three octal figures: `0777` and `a+rwx` are `777`."""
    octal = _OCTAL.fullmatch(word)
    if octal:
        return octal.group(1)
    return "777" if _EVERYTHING.fullmatch(word) else word


def without_run(program: str, operands: tuple[str, ...]) -> tuple[str, ...]:
    """`run test` of npm, pnpm and yarn as `test`; yarn runs any script by its bare name."""
    if program not in _SCRIPT_RUNNERS or operands[:1] != ("run",) or len(operands) < 2:
        return operands
    own = program == "yarn" and operands[1] not in _YARN_OWN
    return operands[1:] if own or operands[1] in _SCRIPTS else operands
