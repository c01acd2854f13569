"""PowerShell's own commands: aliases, parameters, and the POSIX commands that do the same.

Names and parameters are in small letters, since PowerShell knows no letter case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "ALIASES",
    "CMDLETS",
    "COMMON",
    "PATTERN_ALIASES",
    "Cmdlet",
    "cmdlet_named",
    "looks_like_cmdlet",
    "parameter_named",
]


@dataclass(frozen=True, kw_only=True)
class Cmdlet:
    """A command: its POSIX counterparts, parameters with a value, switches with their letters.

    Values of `plain` parameters are operands, those of `quiet` ones (filters, credentials) none.
    """

    posix: tuple[str, ...] = ()
    plain: frozenset[str] = frozenset()
    quiet: frozenset[str] = frozenset()
    switches: Mapping[str, str]

    @property
    def parameters(self) -> frozenset[str]:
        return self.plain | self.quiet | frozenset(self.switches)


def _cmdlet(posix: str = "", plain: str = "", quiet: str = "", switches: str = "") -> Cmdlet:
    pairs = (word.partition("=") for word in switches.split())
    return Cmdlet(
        posix=tuple(posix.split()),
        plain=frozenset(plain.split()),
        quiet=frozenset(quiet.split()),
        switches={name: letter or f"--{name}" for name, _, letter in pairs},
    )


_FILTERS = "filter include exclude credential stream"
_WEB = (
    "method headers body outfile contenttype useragent credential proxy websession sessionvariable "
    "timeoutsec infile form authentication token maximumredirection"
)
CMDLETS: Mapping[str, Cmdlet] = {
    "add-content": _cmdlet("", "path literalpath value", f"{_FILTERS} encoding", "force"),
    "clear-content": _cmdlet("", "path literalpath", _FILTERS, "force"),
    "clear-item": _cmdlet("", "path literalpath", _FILTERS, "force"),
    "clear-recyclebin": _cmdlet("", "driveletter", "", "force"),
    "copy-item": _cmdlet(
        "cp", "path literalpath destination", f"{_FILTERS} tosession fromsession",
        "recurse=-r force=-f container passthru",
    ),
    "format-volume": _cmdlet("", "driveletter filesystem", "", "force full"),
    "get-childitem": _cmdlet(
        "ls", "path literalpath", f"{_FILTERS} depth attributes",
        "recurse=-R force=-a name directory file hidden system readonly",
    ),
    "get-content": _cmdlet(
        "cat", "path literalpath", f"{_FILTERS} encoding totalcount tail readcount delimiter",
        "force raw wait asbytestream",
    ),
    "get-item": _cmdlet("", "path literalpath", _FILTERS, "force"),
    "get-location": _cmdlet("pwd"),
    "get-process": _cmdlet("ps", "name id", "computername", "module fileversioninfo"),
    "invoke-command": _cmdlet(
        "", "scriptblock filepath", "computername credential argumentlist session", "asjob"
    ),
    "invoke-expression": _cmdlet("", "command"),
    "invoke-item": _cmdlet("", "path literalpath", _FILTERS),
    "invoke-restmethod": _cmdlet(
        "curl wget", "uri", _WEB, "usebasicparsing disablekeepalive skipcertificatecheck=-k"
    ),
    "invoke-sqlcmd": _cmdlet(
        "", "query inputfile serverinstance database", "username password", "encryptconnection"
    ),
    "invoke-webrequest": _cmdlet(
        "curl wget", "uri", _WEB, "usebasicparsing passthru skipcertificatecheck=-k"
    ),
    "move-item": _cmdlet("mv", "path literalpath destination", _FILTERS, "force=-f passthru"),
    "new-item": _cmdlet("touch", "path name value", "itemtype credential", "force"),
    "out-file": _cmdlet("", "filepath literalpath", "encoding width", "append force noclobber"),
    "remove-item": _cmdlet("rm", "path literalpath", _FILTERS, "recurse=-r force=-f"),
    "remove-itemproperty": _cmdlet("", "path literalpath name", _FILTERS, "force"),
    "rename-item": _cmdlet("mv", "path literalpath newname", "credential", "force=-f passthru"),
    "restart-computer": _cmdlet("reboot", "computername", "credential", "force wait"),
    "restart-service": _cmdlet("", "name displayname", "", "force passthru"),
    "select-string": _cmdlet(
        "grep", "pattern path literalpath", "include exclude encoding context",
        "casesensitive simplematch quiet list allmatches notmatch raw",
    ),
    "set-content": _cmdlet("", "path literalpath value", f"{_FILTERS} encoding", "force nonewline"),
    "set-executionpolicy": _cmdlet("", "executionpolicy scope", "", "force"),
    "set-location": _cmdlet("cd", "path literalpath", "stackname", "passthru"),
    "start-process": _cmdlet(
        "", "filepath argumentlist",
        "workingdirectory verb windowstyle credential redirectstandardoutput "
        "redirectstandarderror redirectstandardinput environment",
        "wait nonewwindow passthru loaduserprofile usenewenvironment",
    ),
    "start-sleep": _cmdlet("sleep", "seconds milliseconds duration"),
    "stop-computer": _cmdlet("shutdown poweroff", "computername", "credential", "force asjob"),
    "stop-process": _cmdlet("kill", "id name inputobject", "", "force=-9 passthru"),
    "stop-service": _cmdlet("", "name displayname", "", "force nowait passthru"),
    "tee-object": _cmdlet("tee", "filepath literalpath", "variable inputobject", "append=-a"),
    "write-host": _cmdlet(
        "echo", "object", "foregroundcolor backgroundcolor separator", "nonewline"
    ),
    "write-output": _cmdlet("echo", "inputobject", "", "noenumerate"),
}  # fmt: skip

_ALIAS_ROWS = """
    add-content ac; clear-content clc; clear-item cli; copy-item cp copy cpi; get-childitem gci dir
    ls; get-content gc cat type; get-item gi; get-location gl pwd; get-process gps ps;
    invoke-command icm; invoke-expression iex; invoke-item ii; invoke-restmethod irm;
    invoke-webrequest iwr curl wget; move-item mv move mi; new-item ni; remove-item ri rm rmdir rd
    del erase; remove-itemproperty rp; rename-item ren rni; select-string sls; set-content sc;
    set-location sl cd chdir; start-process saps start; start-sleep sleep; stop-process spps kill;
    stop-service spsv; tee-object tee; write-output echo write; foreach-object foreach %;
    where-object where ?; set-alias sal; new-alias nal; get-command gcm; start-job sajb;
    set-variable sv set; measure-object measure; sort-object sort; select-object select;
    out-host oh; compare-object diff compare; get-history h history; get-member gm; start-service
    sasv; get-service gsv; format-table ft; format-list fl; push-location pushd; pop-location popd
"""
ALIASES: Mapping[str, str] = {
    alias: row.split()[0] for row in _ALIAS_ROWS.split(";") for alias in row.split()[1:]
}
"""Aliases that PowerShell comes with, `md`/`mkdir` (a function) aside."""

PATTERN_ALIASES = frozenset(
    {"del", "erase", "gci", "iex", "irm", "iwr", "rd", "ri", "saps", "spps"}
)
"""Aliases that are no other system's programs: at the head of a pattern they mean PowerShell."""

COMMON: Mapping[str, bool] = {  # whether a value follows
    **dict.fromkeys(["confirm", "debug", "verbose", "whatif"], False),
    **dict.fromkeys(["asjob", "force", "passthru", "quiet", "recurse", "wait"], False),
    **dict.fromkeys(
        [
            "erroraction", "errorvariable", "informationaction", "informationvariable",
            "outbuffer", "outvariable", "pipelinevariable", "progressaction", "warningaction",
            "warningvariable", "argumentlist", "computername", "credential", "destination",
            "filter", "id", "inputobject", "literalpath", "name", "path", "scope", "value",
        ],
        True,
    ),
}  # fmt: skip
_SHORT = {
    "cf": "confirm", "db": "debug", "ea": "erroraction", "ev": "errorvariable",
    "infa": "informationaction", "lp": "literalpath", "ob": "outbuffer", "ov": "outvariable",
    "pspath": "literalpath", "pv": "pipelinevariable", "s": "recurse", "vb": "verbose",
    "wa": "warningaction", "wi": "whatif", "wv": "warningvariable", "args": "argumentlist",
}  # fmt: skip
_APPROVED_VERBS = (
    "Add|Approve|Assert|Backup|Block|Clear|Close|Complete|Compress|Confirm|Connect|Convert|Copy|"
    "Debug|Deny|Deploy|Disable|Disconnect|Dismount|Edit|Enable|Enter|Exit|Expand|Export|Find|"
    "Format|Get|Grant|Hide|Import|Initialize|Install|Invoke|Join|Limit|Lock|Measure|Merge|Mount|"
    "Move|New|Open|Optimize|Out|Pop|Publish|Push|Read|Receive|Redo|Register|Remove|Rename|Repair|"
    "Request|Reset|Resize|Resolve|Restart|Restore|Resume|Revoke|Save|Search|Select|Send|Set|Show|"
    "Skip|Split|Start|Step|Stop|Submit|Suspend|Switch|Sync|Test|Trace|Unblock|Undo|Uninstall|"
    "Unlock|Unprotect|Unpublish|Unregister|Update|Use|Wait|Watch|Write"
)
_VERBS = frozenset(_APPROVED_VERBS.split("|"))
_NOUN = re.compile(r"[A-Z]\w+")


def cmdlet_named(name: str) -> str | None:
    """The full name of PowerShell's own command of that name or alias, None if there is none."""
    lower = name.replace("\\", "/").rsplit("/", 1)[-1].lower()
    full = ALIASES.get(lower, lower)
    return full if full in CMDLETS or lower in ALIASES else None


def looks_like_cmdlet(word: str) -> bool:
    """Whether a pattern's first word is a cmdlet: `Remove-Item`, `remove-item`, `Stop-VM`, `ri`."""
    lower = word.lower()
    verb, _, noun = word.partition("-")
    return (
        lower in CMDLETS
        or lower in PATTERN_ALIASES
        or (verb in _VERBS and _NOUN.fullmatch(noun) is not None)
    )


def parameter_named(cmdlet: Cmdlet | None, text: str) -> str | None:
    """The parameter that a beginning of its name means; None if none or several."""
    lower = text.lower()
    own = cmdlet.parameters if cmdlet is not None else frozenset()
    for names in (own, frozenset(COMMON)):
        if lower in names:
            return lower
    if lower in _SHORT and (not own or lower != "s" or "recurse" in own):
        return _SHORT[lower]
    for names in (own, frozenset(COMMON)):
        fitting = [name for name in names if name.startswith(lower)]
        if len(fitting) == 1:
            return fitting[0]
        if "force" in fitting and lower == "f":
            return "force"  # refused as ambiguous, or another system's rm
        if fitting:
            return None
    return None
