"""What programs do with their operands and options: which name files, and what becomes of them.

One row a program, read off its manual: `operands` says what the words that are no options are, in
order, the last entry with `*` standing for all further ones. A role is `read`, `list` (a folder's
names), `write`, `delete`, `edit` (read and written), `open` (a database, read and perhaps written),
`folder` (made), `-` (no file) or `text` (a script or pattern, which falls away where one of
`scripted` gives it). `valued` are the options that take the next word, `reads` and `writes` those
of them that name a file. `below` are the options that reach everything below a folder (`*`:
always).

Programs share a row only where they share their options: the word behind a letter that takes none
(`cat -n FILE`) is a file, and one that is taken for a value is seen by nobody.

Git's commands are too many kinds for a row: `git_uses` reads which files they change and show. What
git takes from other commits when it switches branches, pulls, merges or rebases is out of sight:
which files that touches stands in the repository alone.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["PROGRAMS", "FileProgram", "git_uses"]

_VALUED = {"-C", "-c", "--git-dir", "--work-tree", "--namespace"}
_OPTION_VALUES: Mapping[str, tuple[str, ...]] = {
    "checkout": ("-b", "-B", "--orphan", "--conflict"),
    "restore": ("-s", "--source", "--conflict"),
    "stash": ("-m", "--message"),
    "clean": ("-e", "--exclude"),
    "diff": ("-S", "-G", "-O", "--diff-filter"),
}
_SHOWING = ("diff", "show", "blame", "log", "cat-file", "grep", "annotate")


@dataclass(frozen=True, kw_only=True)
class FileProgram:
    """One program's row."""

    operands: str = "-*"
    valued: str = ""
    reads: str = ""
    writes: str = ""
    below: str = ""
    scripted: str = ""


def _rows(names: str, row: FileProgram) -> dict[str, FileProgram]:
    return dict.fromkeys(names.split(), row)


_READ = FileProgram(operands="read*")
PROGRAMS: Mapping[str, FileProgram] = {
    **_rows(
        "cat bzcat colordiff md5sum most rev sha1sum sha224sum sha256sum sha384sum sha512sum "
        "source . sum tsort vimdiff xzcat zcat zless",
        _READ,
    ),
    "tac": FileProgram(operands="read*", valued="-s --separator"),
    "less": FileProgram(
        operands="read*", valued="-b -h -j -k -p -P -t -T -x -y -z", writes="-o -O --log-file"
    ),
    "more": FileProgram(operands="read*", valued="-n"),
    "strings": FileProgram(operands="read*", valued="-e -n -s -t -T -U"),
    **_rows("cksum b2sum", FileProgram(operands="read*", valued="-l --length --algorithm")),
    **_rows("base32 base64", FileProgram(operands="read*", valued="-w --wrap")),
    "cmp": FileProgram(operands="read*", valued="-i -n --bytes --ignore-initial"),
    "sdiff": FileProgram(operands="read*", valued="-I -w --width", writes="-o --output"),
    "diff3": FileProgram(operands="read*", valued="-L --label"),
    "ptx": FileProgram(operands="read*", valued="-F -g -M -S -w -W", reads="-b -i -o"),
    **_rows("bat batcat", FileProgram(operands="read*", valued="-l -r -H -m --language --style")),
    "hexyl": FileProgram(operands="read*", valued="-n -c -s --length --bytes --skip"),
    "look": FileProgram(operands="- read*", valued="-t"),
    "nl": FileProgram(operands="read*", valued="-b -d -f -h -i -l -n -s -v -w"),
    "pr": FileProgram(operands="read*", valued="-D -h -l -N -o -w -W"),
    "fmt": FileProgram(operands="read*", valued="-g -p -w --goal --prefix --width"),
    "fold": FileProgram(operands="read*", valued="-w --width"),
    **_rows("expand unexpand", FileProgram(operands="read*", valued="-t --tabs")),
    "file": FileProgram(operands="read*", valued="-e -F -P", reads="-f -m --files-from"),
    "stat": FileProgram(operands="read*", valued="-c --format --printf"),
    "wc": FileProgram(operands="read*", reads="--files0-from"),
    "sqlite3": FileProgram(operands="open -*", valued="-cmd -newline -nullvalue -separator"),
    "head": FileProgram(operands="read*", valued="-n -c --lines --bytes"),
    "tail": FileProgram(operands="read*", valued="-n -c --lines --bytes -s --pid"),
    "cut": FileProgram(operands="read*", valued="-d -f -c -b --delimiter --fields"),
    "paste": FileProgram(operands="read*", valued="-d --delimiters"),
    "column": FileProgram(operands="read*", valued="-c -i -l -n -o -p -r -s -E -H -N -O -R -T -W"),
    "join": FileProgram(operands="read*", valued="-t -1 -2 -j -a -o -e -v"),
    "comm": _READ,
    "od": FileProgram(operands="read*", valued="-A -j -N -S -t"),
    "hexdump": FileProgram(operands="read*", valued="-n -s -e -f"),
    "numfmt": FileProgram(operands="read*", valued="-d"),
    "shuf": FileProgram(operands="read*", valued="-n -i", writes="-o --output"),
    "iconv": FileProgram(operands="read*", valued="-f -t", writes="-o --output"),
    "sort": FileProgram(
        operands="read*",
        valued="-k -t -S -T -y --key --field-separator --parallel --buffer-size",
        reads="--files0-from",
        writes="-o --output",
    ),
    "uniq": FileProgram(operands="read write", valued="-f -s -w"),
    "xxd": FileProgram(operands="read write", valued="-l -s -c -g -o"),
    "split": FileProgram(operands="read prefix", valued="-a -b -C -l -n -t"),
    "csplit": FileProgram(operands="read -*", valued="-n -b", writes="-f --prefix"),
    "mktemp": FileProgram(operands="write*", valued="-p --suffix --tmpdir"),
    "pandoc": FileProgram(operands="read*", valued="-f -t --from --to", writes="-o --output"),
    **_rows(
        "gcc g++ cc c++ clang clang++ rustc",
        FileProgram(operands="read*", valued="-I -L -l -D -x", writes="-o"),
    ),
    "ssh-keygen": FileProgram(valued="-t -b -C -N -P", writes="-f"),
    "diff": FileProgram(
        operands="read*",
        valued="-C -D -F -I -L -S -U -W -x --label",
        reads="-X --exclude-from",
        below="-r --recursive",
    ),
    **_rows("ls dir vdir", FileProgram(operands="list*", valued="-I -T -w", below="-R")),
    **_rows(
        "eza exa", FileProgram(operands="list*", valued="-I -L -s -t -w", below="-R -T --tree")
    ),
    "tree": FileProgram(operands="list*", valued="-H -I -L -P -T", writes="-o", below="*"),
    "du": FileProgram(operands="list*", valued="-B -d -t", reads="-X", below="*"),
    **_rows(
        "grep egrep fgrep zgrep",
        FileProgram(
            operands="text read*",
            valued="-e -m -A -B -C -d -D -X --regexp --max-count --include --exclude --exclude-dir "
            "--context --color --label",
            reads="-f --file --exclude-from",
            below="-r -R --recursive --dereference-recursive",
            scripted="-e --regexp -f --file",
        ),
    ),
    "rg": FileProgram(
        operands="text read*",
        valued="-e -m -A -B -C -g -t -T -M -r -d -j -E --regexp --glob --type --max-count --sort "
        "--type-not --max-depth --context --color --replace --pre",
        reads="-f --file",
        below="*",
        scripted="-e --regexp -f --file --files",
    ),
    **_rows(
        "ag ack",
        FileProgram(operands="text read*", valued="-m -A -B -C -G -p --type --ignore", below="*"),
    ),
    **_rows(
        "awk gawk mawk nawk",
        FileProgram(
            operands="text read*", valued="-F -v -i", reads="-f --file", scripted="-f --file"
        ),
    ),
    "sed": FileProgram(
        operands="text read*",
        valued="-e -l --expression --line-length",
        reads="-f --file",
        scripted="-e -f --expression --file",
    ),
    **_rows(
        "jq yq",
        FileProgram(operands="text read*", reads="-f --from-file", scripted="-f --from-file"),
    ),
    **_rows("vim vi nvim nano emacs ed ex code subl micro", FileProgram(operands="edit*")),
    **_rows("bash sh zsh dash", FileProgram(operands="read -*", valued="-c -o -O", scripted="-c")),
    **_rows("python python3", FileProgram(operands="read -*", valued="-m -c -W -X", scripted="-c")),
    "ruby": FileProgram(operands="read -*", valued="-e -r -I", scripted="-e"),
    **_rows(
        "node deno bun",
        FileProgram(
            operands="read -*",
            valued="-c -e -p -r -I",
            reads="--env-file --env-file-if-exists",
            scripted="-c -e -p",
        ),
    ),
    **_rows(
        "gpg gpg2",
        FileProgram(
            operands="read*",
            valued="-r -u --recipient --local-user --passphrase --homedir --keyserver",
            reads="--passphrase-file",
            writes="-o --output",
        ),
    ),
    "age": FileProgram(operands="read*", valued="-r", reads="-R -i --identity", writes="-o"),
    "dotenv": FileProgram(reads="-f -e --file"),
    **_rows(
        "pg_dump pg_dumpall mysqldump",
        FileProgram(
            valued="-h -p -U -d -n -t -j -Z -F -u --host --port",
            writes="-f --file -r --result-file",
        ),
    ),
    **_rows("trash trash-put rmtrash rip", FileProgram(operands="delete*", below="*")),
    "perl": FileProgram(operands="text read*", valued="-e -E -I -M", scripted="-e -E -pe -ne -ie"),
    "curl": FileProgram(
        valued="-H -X -A -e -u -b -w -m -x -d -F --data --data-binary --header --request --user "
        "--form --url --max-time --retry --data-raw --data-urlencode --proxy --cookie --output-dir",
        reads="-T --upload-file -K --config --cacert -E --cert --key",
        writes="-o --output -c --cookie-jar -D --dump-header",
    ),
    "wget": FileProgram(
        valued="-U -t -T --header --user --password --tries --timeout -P --directory-prefix",
        reads="-i --input-file --post-file --body-file",
        writes="-O --output-document -o --output-file -a --append-output",
    ),
    **_rows("rm", FileProgram(operands="delete*", below="-r -R --recursive")),
    **_rows("rmdir unlink", FileProgram(operands="delete*")),
    "shred": FileProgram(operands="delete*", valued="-n -s"),
    **_rows("tee sponge", FileProgram(operands="write*")),
    "touch": FileProgram(operands="write*", valued="-t -d --date --time", reads="-r --reference"),
    "truncate": FileProgram(operands="write*", valued="-s --size", reads="-r --reference"),
    "mkdir": FileProgram(operands="folder*", valued="-m --mode"),
    "mkfifo": FileProgram(operands="write*", valued="-m"),
    "venv": FileProgram(operands="folder*", valued="--prompt"),
    "virtualenv": FileProgram(operands="folder*", valued="-p --python --prompt"),
    "script": FileProgram(operands="write", valued="-c --command -E -I -O -B -T -t -m -o"),
    "rename": FileProgram(operands="text edit*", valued="-e"),
    "patch": FileProgram(
        operands="edit read",
        valued="-p -d -D -F -g -B -V -Y -z --strip --directory --fuzz",
        reads="-i --input",
        writes="-o --output -r --reject-file",
    ),
    **_rows("gzip gunzip", FileProgram(operands="edit*", valued="-S", below="-r")),
    **_rows("bzip2 bunzip2 zstd", FileProgram(operands="edit*", below="-r")),
    **_rows("xz unxz", FileProgram(operands="edit*", valued="-C -F -M -S -T")),
    "zip": FileProgram(operands="write read*", valued="-b -i -n -s -t -x -O -P -Z", below="-r"),
    "openssl": FileProgram(operands="-*", reads="-in -key -inkey -CAfile", writes="-out -keyout"),
    "scp": FileProgram(operands="copy", valued="-P -i -o -F -c -l -S -J", below="-r"),
    "cp": FileProgram(
        operands="copy",
        valued="-t -S --target-directory --suffix",
        below="-r -R -a --recursive --archive",
    ),
    "mv": FileProgram(operands="copy", valued="-t -S --target-directory --suffix", below="*"),
    "install": FileProgram(
        operands="copy", valued="-m -o -g -t -S --mode --owner --group --target-directory"
    ),
    "ln": FileProgram(operands="copy", valued="-t -S --target-directory --suffix"),
    "rsync": FileProgram(
        operands="copy",
        valued="-e -f --exclude --include --filter --rsh --rsync-path --backup-dir --chmod "
        "--bwlimit --port --timeout --log-file",
        reads="--files-from --exclude-from --include-from --password-file",
        below="-r -a --recursive --archive -av -avz",
    ),
}


def git_uses(words: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What a git command does with files, as the arguments of a `FileUse`."""
    folder = ""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        if words[index] == "-C" and index + 1 < len(words):
            folder = posixpath.join(folder, words[index + 1])
        index += 2 if words[index] in _VALUED else 1
    if index >= len(words):
        return
    for use in _uses(words[index], list(words[index + 1 :])):
        yield {**use, "path": posixpath.join(folder, use["path"])} if folder else use


def _uses(sub: str, words: list[str]) -> Iterator[dict[str, Any]]:
    operands, paths, flags, values = _taken(sub, words)
    for name in ("--output", "-o", "--output-directory"):
        if name in values and sub in ("diff", "log", "show", "format-patch", "archive"):
            yield {"kind": "write", "path": values[name]}
    if sub in ("rm", "mv"):
        cached = "--cached" in flags
        *sources, target = [*operands, *paths] if sub == "mv" else [*operands, *paths, ""]
        for source in sources if not cached and "-n" not in flags else ():
            yield {"kind": "delete", "path": source, "below": sub == "mv" or "-r" in flags}
        if sub == "mv" and sources:
            name = posixpath.basename(target)
            into = posixpath.join(target, posixpath.basename(sources[0].rstrip("/")))
            if len(sources) > 1 or target.endswith("/"):
                yield {"kind": "write", "path": into}
            else:
                yield {"kind": "write", "path": target, "inside": None if "." in name else into}
    elif sub == "restore":
        if not flags & {"--staged", "-S"} or flags & {"--worktree", "-W"}:
            yield from _changed([*operands, *paths])
    elif sub == "checkout":
        if paths:
            yield from _changed(paths)
        elif not {"-b", "-B", "--orphan", "--detach"} & flags:
            # `git checkout x`: a path, or a branch
            yield from _changed(operands[-1:], certain=False)
    elif sub == "stash":
        if not operands or operands[0] in ("push", "save", "pop", "apply"):
            yield from _changed(paths or ["."], certain=False)
    elif sub == "reset":
        if flags & {"--hard", "--merge", "--keep"}:
            yield from _changed(["."], certain=False)
    elif sub == "clean":
        dry = "-n" in flags or "--dry-run" in flags
        for path in [] if dry else [*operands, *paths] or ["."]:
            yield {"kind": "delete", "path": path, "below": True, "certain": False}
    elif sub in ("apply", "am"):
        yield from ({"kind": "read", "path": path} for path in operands)
        if not flags & {"--check", "--stat", "--numstat", "--cached"}:
            yield from _changed(["."], certain=False)
    elif sub == "worktree":
        if operands[:1] == ["add"]:
            for path in operands[1:2]:
                yield {"kind": "write", "path": path, "below": True}
    elif sub == "clone":
        target = operands[1] if len(operands) > 1 else ""
        target = target or posixpath.basename((operands or [""])[0]).removesuffix(".git")
        if target:
            yield {"kind": "write", "path": target, "below": True}
    elif sub == "init" and operands:
        yield {"kind": "folder", "path": operands[0]}
    elif sub in _SHOWING or sub == "add":
        for word in [*operands, *paths]:
            path = word.partition(":")[2] if sub in ("show", "cat-file") and ":" in word else word
            yield {"kind": "read", "path": path, "below": True}


def _changed(paths: Sequence[str], *, certain: bool = True) -> Iterator[dict[str, Any]]:
    for path in paths:
        wide = path in (".", "..", ":/") or path.endswith("/")
        yield {
            "kind": "write",
            "path": "." if path == ":/" else path,
            "below": True,
            "certain": certain and not wide,
        }


def _taken(sub: str, words: Sequence[str]) -> tuple[list[str], list[str], set[str], dict[str, str]]:
    """Operands, what stands behind `--`, options, and options' values."""
    valued = _OPTION_VALUES.get(sub, ())
    operands: list[str] = []
    flags: set[str] = set()
    values: dict[str, str] = {}
    waiting = ""
    for index, word in enumerate(words):
        if waiting:
            values[waiting], waiting = word, ""
        elif word == "--":
            return operands, list(words[index + 1 :]), flags, values
        elif word.startswith("--"):
            name, sign, value = word.partition("=")
            flags.add(name)
            if sign:
                values[name] = value
            elif name in valued:
                waiting = name
        elif word.startswith("-") and len(word) > 1:
            flags.update(f"-{letter}" for letter in word[1:])
            if word in valued or (sub in ("format-patch", "archive") and word == "-o"):
                waiting = word
        else:
            operands.append(word)
    return operands, [], flags, values
