"""Whether an option or an operand as given is the one that a pattern wants."""

from __future__ import annotations

from collections.abc import Sequence

from skilltrace_mlflow.commands.arguments import Given, plain_operand
from skilltrace_mlflow.commands.command import UNKNOWN, UNKNOWN_WORDS
from skilltrace_mlflow.patterns.regex import wildcard

__all__ = ["could_become", "option_meets", "same_operand"]


def option_meets(wanted: Given, given: Sequence[Given], operands: Sequence[str]) -> bool | None:
    """Whether one of the given options is the wanted one, with its value.

    None where that is not certain: an option that is in no table and could be the wanted one in
    another spelling, a value that is filled in at run time. `operands` are the pattern's.
    """
    best: bool | None = False
    for option in given:
        if _named(wanted, option):
            met = _value_meets(wanted, option, operands)
            if met:
                return True
            best = best if met is False else None
        elif _could_be_same(wanted, option):
            best = None
    return best


def _named(wanted: Given, option: Given) -> bool:
    if wanted.names & option.names:
        return True
    return any("*" in w and wildcard(w, name) for w in wanted.names for name in option.names)


def _value_meets(wanted: Given, option: Given, operands: Sequence[str]) -> bool | None:
    value = option.value if option.value is not None else option.behind
    if wanted.value is None:
        pair = wanted.behind
        if pair is None or value is None or same_operand(pair, value):
            return True
        return True if any(same_operand(word, value) for word in operands) else None
    if value is None:
        return None if not option.known else False
    if same_operand(wanted.value, value):
        return True
    return None if could_become(value, wanted.value) else False


def _could_be_same(wanted: Given, option: Given) -> bool:
    """Whether a short and a long name that no table relates could be one option."""
    if wanted.known and option.known:
        return False
    if any(_begins(a, b) for a in option.names for b in wanted.names):
        return True
    if wanted.both or option.both:
        return False
    for one, other in ((wanted, option), (option, wanted)):
        for short in one.names:
            if len(short) != 2 or short.startswith("--"):
                continue
            for long in other.names:
                if long.startswith("--") and long[2:3].lower() == short[1].lower():
                    return True
    return False


def _begins(given: str, wanted: str) -> bool:
    """Whether a long option may be an abbreviation: `--forc` of `--force`."""
    return given.startswith("--") and len(given) > 3 and wanted.startswith(given)


def same_operand(wanted: str, operand: str) -> bool:
    """Whether both are one text, or one path in another spelling: `./a/` is `a`.

    `if=` means every value.
    """
    if wildcard(wanted, operand) or (wanted.endswith("=") and operand.startswith(wanted)):
        return True
    return wanted == operand or plain_operand(wanted) == plain_operand(operand)


def could_become(composed: str, wanted: str) -> bool:
    """Whether filling the placeholders of a word can give the wanted one."""
    if UNKNOWN not in composed and UNKNOWN_WORDS not in composed:
        return False
    pattern = composed.replace(UNKNOWN_WORDS, UNKNOWN).replace("*", "\\*").replace(UNKNOWN, "*")
    return wildcard(pattern, wanted)
