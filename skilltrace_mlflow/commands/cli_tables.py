"""What Claude Code 2.1.332 knows by itself when it decides about a call, one table per kind.

Found by playing calls on that CLI against the scripted model server, November 2026; `make
permissions-oracle` plays pairs again and reports where a newer version decides otherwise. What is
in no table is asked about, as the CLI does.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "CLI_VERSION",
    "EDITING",
    "HARMLESS_VARIABLES",
    "KNOWN_VARIABLES",
    "PREAPPROVED_HOSTS",
    "PROTECTED_FILES",
    "PROTECTED_FOLDERS",
    "READING",
    "READ_ANY_OPTION",
    "READ_SOME_OPTIONS",
    "TRANSPARENT",
    "UNASKED_TOOLS",
    "VALUED",
    "WRITING",
]

CLI_VERSION = "2.1.332"

# Commands that run without asking, whatever their options.
READ_ANY_OPTION = frozenset(
    name.replace("~", " ")
    for name in [
        "basename",
        "cal",
        "cat",
        "cmp",
        "column",
        "comm",
        "cut",
        "df",
        "diff",
        "dirname",
        "docker~images",
        "docker~ps",
        "du",
        "echo",
        "expand",
        "expr",
        "false",
        "fmt",
        "fold",
        "free",
        "groups",
        "head",
        "hexdump",
        "help",
        "id",
        "locale",
        "ls",
        "nl",
        "nproc",
        "numfmt",
        "od",
        "paste",
        "pr",
        "readlink",
        "realpath",
        "rev",
        "seq",
        "sleep",
        "stat",
        "strings",
        "tac",
        "tail",
        "tr",
        "true",
        "tsort",
        "type",
        "uname",
        "unexpand",
        "uniq",
        "uptime",
        "wc",
    ]
)

# Commands that run without asking with these options only; a number alone (`-5`) is written `-5`.
READ_SOME_OPTIONS: Mapping[str, frozenset[str]] = {
    name: frozenset(options.split())
    for name, options in {
        "base64": "-d -D --decode -b --break -w --wrap -i --input -h --help --version",
        "date": (
            "-u --utc --universal --debug -I -R --rfc-email --help --version -d --date "
            "--rfc-3339 -r --reference --iso-8601"
        ),
        "docker inspect": "-f --format -s --size --type",
        "docker logs": "-f --follow --tail -n -t --timestamps --since --until --details",
        **dict.fromkeys(
            ("egrep", "fgrep", "grep"),
            "--regexp -e --file -f --fixed-strings -F --extended-regexp -E --basic-regexp -G "
            "--perl-regexp -P --ignore-case -i --no-ignore-case --invert-match -v --word-regexp "
            "-w --line-regexp -x --count -c --color --colour --files-without-match -L "
            "--files-with-matches -l --max-count -m --only-matching -o --quiet --silent -q "
            "--no-messages -s --byte-offset -b --with-filename -H --no-filename -h --label "
            "--line-number -n --initial-tab -T --null -Z --null-data -z --after-context -A "
            "--before-context -B --context -C --text -a --binary-files --devices -D "
            "--directories -d --exclude --exclude-from --exclude-dir --include --recursive -r "
            "--dereference-recursive -R --line-buffered -y --help --version -V",
        ),
        "fd": (
            "-q -1 -h -V --hidden -H -I -s -i -g -F -a -L -p -0 --no-ignore --full-path "
            "--absolute-path --glob --follow --print0 -S -d -t -e -E -c -j --type --extension "
            "--exclude --max-depth --changed-within --size --owner"
        ),
        "file": "-r -b -i -L -s -k -p -0 -h -v --brief --mime --mime-type -F",
        "find": (
            "-name -iname -type -path -maxdepth -mindepth -size -mtime -newer -print -print0 "
            "-ls -empty -user -perm -prune -o -a -links -depth -mount -executable -readable "
            "-inum -not -L -H -quit -regex -printf"
        ),
        "git blame": (
            "-t -f --show-name -n --show-number -p --porcelain --line-porcelain -l -s -e -M "
            "--incremental --root --show-stats --score-debug --show-email -w -C --abbrev -L "
            "--ignore-revs-file --ignore-rev"
        ),
        "git branch": (
            "--ignore-case -r -a --merged --no-merged -l -v --verbose --color --remotes --all "
            "--list --show-current --column -i --points-at --contains --no-contains --sort "
            "--abbrev"
        ),
        "git cat-file": "-e -p -t -s --batch-check",
        "git config": "--get",
        "git describe": (
            "--long --broken --tags --contains --dirty --exact-match --always --abbrev "
            "--candidates --match --exclude"
        ),
        "git diff": (
            "--patch-with-stat --stat --numstat --shortstat --check --summary --name-only "
            "--name-status -M --find-renames -D --irreversible-delete -C --find-copies "
            "--find-copies-harder --no-renames --no-index -p -s -u --function-context "
            "--dirstat --binary --full-index --color -B --break-rewrites -l --minimal "
            "--ignore-all-space --ignore-space-change --ignore-space-at-eol "
            "--ignore-blank-lines --patience --histogram --word-diff --color-words -R "
            "--exit-code --quiet --pickaxe-all --pickaxe-regex -5 --cached --staged "
            "--no-color --no-ext-diff -1 --ws-error-highlight --abbrev --inter-hunk-context "
            "--diff-algorithm --word-diff-regex --relative -S -G -O --diff-filter"
        ),
        "git for-each-ref": (
            "--points-at --merged --no-merged --contains --no-contains --count --sort"
        ),
        "git grep": (
            "--files-with-matches -l -i --ignore-case -w --word-regexp -G --basic-regexp -F "
            "--fixed-strings -P --perl-regexp -n --line-number --count --color --break "
            "--heading --or --not -q --quiet --cached --no-index --untracked "
            "--recurse-submodules -v --invert-match -E --extended-regexp -h -H --full-name -L "
            "--files-without-match -o --only-matching -c --and -A -e --max-depth -C --context "
            "-B --before-context --after-context --threads"
        ),
        "git log": (
            "--format --pretty --no-color --decorate -5 --name-status --no-merges --merges "
            "--follow --numstat "
            "--color --reverse --branches --tags --remotes --no-patch --source --oneline "
            "--graph --all --stat --patch -p --name-only --shortstat --no-ext-diff "
            "--abbrev-commit --first-parent -1 -s --since --skip -n --until --author --grep "
            "-S -G --date --diff-filter --max-count"
        ),
        "git ls-files": (
            "-z -t -v -f -c --cached -d --deleted -m --modified -o --others -i --ignored -s "
            "--stage -k --killed --directory --eol -u --unmerged --exclude-standard "
            "--full-name --recurse-submodules --error-unmatch --debug --exclude-from -x "
            "--exclude -X --exclude-per-directory --abbrev"
        ),
        "git ls-remote": (
            "--heads --tags --refs --exit-code -q --quiet --get-url --symref -t -h --sort"
        ),
        "git merge-base": "--all --octopus --is-ancestor --independent --fork-point",
        "git reflog": "--oneline -5 --all --date -n",
        "git remote": "-v --verbose",
        "git rev-list": (
            "--count --all --oneline --reverse --no-merges --merges --first-parent --branches "
            "--tags -5 --max-count -n --since --until --author"
        ),
        "git rev-parse": (
            "--git-common-dir --is-inside-work-tree --absolute-git-dir --show-toplevel "
            "--abbrev-ref --verify --git-dir --symbolic-full-name --show-prefix --show-cdup "
            "--short"
        ),
        "git shortlog": "-c --committer -n --numbered -s --summary -e --email --group",
        "git show": (
            "--no-color --decorate -5 --name-status --color --raw --quiet --oneline --graph "
            "--stat --patch -p --name-only --numstat --shortstat --word-diff --no-ext-diff "
            "--abbrev-commit --first-parent -1 --no-patch -s --date --diff-filter"
        ),
        "git stash list": "--oneline --all -5 -n --date",
        "git stash show": "-p --stat --name-only --numstat --patch",
        "git status": (
            "-v --verbose -s --short -b --branch --ahead-behind --porcelain --long --ignored "
            "--column --no-renames -u --untracked-files --ignore-submodules -M --find-renames"
        ),
        "git tag": (
            "--ignore-case -i -l --column --no-column --list --sort --contains "
            "--no-contains --points-at --merged --no-merged"
        ),
        "git worktree list": "--porcelain -v",
        "hostname": (
            "-h -a -A -d -f -i -I -s -V --version --help --alias --all-fqdns --domain --fqdn "
            "--long --ip-address --all-ip-addresses --short"
        ),
        "jq": (
            "-s --argjson --exit-status --join-output -n -r -j -a -c -C -M -S -e -R -h --tab "
            "--indent --arg --args --jsonargs --raw-output --compact-output --slurp "
            "--null-input --sort-keys --stream --seq --raw-input --color-output "
            "--monochrome-output --ascii-output"
        ),
        "lsof": "-a -F -s -l -i -n -P -t -p -u -c -d -r +D",
        "man": "-k -f -a -w",
        **dict.fromkeys(
            ("md5sum", "sha1sum", "sha256sum"),
            "-b --binary -t --text -c --check --ignore-missing --quiet --status --strict -w --warn "
            "--tag -z --zero --help --version",
        ),
        "netstat": "-a -n -l -r -i -s",
        "node": "--version -v",
        "pgrep": (
            "-d --delimiter -l --list-name -a --list-full -v --inverse -w --lightweight -c "
            "--count -f --full -g --pgroup -G --group -i --ignore-case -n --newest -o --oldest "
            "-O --older -P --parent -s --session -t --terminal -u --euid -U --uid -x --exact "
            "-F --pidfile -L --logpidfile -r --runstates --ns --nslist"
        ),
        "printf": "",
        "ps": "-H -L -T -e -f -a -A -l -j --forest --no-headers -w -N -u -p --sort -C",
        "python": "--version",
        "python3": "--version",
        "rg": (
            "-w -c -v --count --column --heading --no-heading --line-number --follow --debug "
            "-F -H -L -S -a -h -i -l -n -o -q -u --json --no-ignore --hidden --stats "
            "--type-list --files-with-matches --ignore-case --word-regexp --text "
            "--only-matching -m -A -B -C -T -d -e -f -g -t --glob --type --max-count "
            "--max-depth --context --color"
        ),
        "sort": (
            "--ignore-case -g --general-numeric-sort -i --ignore-nonprinting -M --month-sort "
            "-h --human-numeric-sort -n --numeric-sort -R --random-sort --stable --version -b "
            "--ignore-leading-blanks -d --dictionary-order -f -r --reverse -V --version-sort "
            "-c --check -C -m --merge -s -u --unique -z --zero-terminated --help --batch-size "
            "--sort -k --key -S --buffer-size -t --field-separator --parallel"
        ),
        "ss": "--listening -t -l -n -p -a -u -m --tcp -s -4 -6 -x",
        **dict.fromkeys(
            ("[", "test"),
            "-b -c -d -e -f -g -h -k -n -p -r -s -t -u -w -x -z -G -L -N -O -S -a -o -ef -nt -ot "
            "-eq -ne -lt -le -gt -ge",
        ),
        "tput": "-V -x -T",
        "tree": (
            "--prune -n --noreport --fromfile --gitignore --dirsfirst -a -d -l -f -L -P -I -h "
            "-s -p -D -C -J -X -H -i --filelimit"
        ),
        "which": "-a",
        "xargs": "-0 -r -t -x -d -L -n -P -s",
    }.items()
}

# Long options that may have their value behind `=`; behind others it is asked about.
VALUED = frozenset(
    [
        "--abbrev",
        "--author",
        "--batch-size",
        "--binary-files",
        "--buffer-size",
        "--candidates",
        "--changed-within",
        "--color",
        "--colour",
        "--column",
        "--contains",
        "--context",
        "--count",
        "--date",
        "--diff-algorithm",
        "--diff-filter",
        "--directories",
        "--exclude",
        "--exclude-dir",
        "--exclude-from",
        "--exclude-per-directory",
        "--extension",
        "--field-separator",
        "--file",
        "--format",
        "--glob",
        "--grep",
        "--ignore-rev",
        "--ignore-revs-file",
        "--include",
        "--indent",
        "--inter-hunk-context",
        "--iso-8601",
        "--key",
        "--label",
        "--match",
        "--max-count",
        "--max-depth",
        "--merged",
        "--no-contains",
        "--no-merged",
        "--owner",
        "--parallel",
        "--points-at",
        "--pretty",
        "--reference",
        "--regexp",
        "--relative",
        "--rfc-3339",
        "--short",
        "--since",
        "--size",
        "--skip",
        "--sort",
        "--tail",
        "--threads",
        "--type",
        "--until",
        "--word-diff",
        "--word-diff-regex",
        "--wrap",
        "--ws-error-highlight",
    ]
)

# Programs whose operands a Read rule is compared with, and those whose targets an Edit rule is.
READING = frozenset(
    [
        "awk",
        "base64",
        "cat",
        "cd",
        "cmp",
        "column",
        "comm",
        "cp",
        "cut",
        "diff",
        "egrep",
        "expand",
        "fgrep",
        "file",
        "find",
        "fmt",
        "fold",
        "gawk",
        "grep",
        "head",
        "hexdump",
        "jq",
        "ls",
        "mawk",
        "md5sum",
        "mv",
        "nl",
        "numfmt",
        "od",
        "paste",
        "pr",
        "rev",
        "rg",
        "sed",
        "sha1sum",
        "sha256sum",
        "sort",
        "stat",
        "strings",
        "tac",
        "tail",
        "tsort",
        "unexpand",
        "uniq",
        "wc",
    ]
)
WRITING = frozenset(["cp", "mkdir", "mv", "rm", "rmdir", "sed", "tee", "touch"])

# Commands that run in acceptEdits inside the working directory.
EDITING = frozenset(["cp", "mkdir", "mv", "rm", "rmdir", "sed", "touch"])

# Carriers that are looked through when rules are compared.
TRANSPARENT = frozenset(["builtin", "command", "nice", "nohup", "stdbuf", "time", "timeout"])

# Assignments in front of a command that change nothing about it, and variables that may stand in
# its words.
HARMLESS_VARIABLES = frozenset(
    [
        "CI",
        "FORCE_COLOR",
        "GOARCH",
        "GOOS",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "LC_TIME",
        "NODE_ENV",
        "NO_COLOR",
        "PYTHONUNBUFFERED",
        "RUST_BACKTRACE",
        "TERM",
        "TZ",
    ]
)
KNOWN_VARIABLES = frozenset(["HOME"])

# Files that are never written without a person's yes, wherever they lie.
PROTECTED_FOLDERS = frozenset(
    (".cargo", ".claude", ".devcontainer", ".git", ".husky", ".idea", ".vscode", ".yarn")
)
PROTECTED_FILES = frozenset(
    [
        ".bash_aliases",
        ".bash_login",
        ".bash_logout",
        ".bash_profile",
        ".bashrc",
        ".bazelrc",
        ".claude.json",
        ".envrc",
        ".gitconfig",
        ".gitmodules",
        ".lefthook.yaml",
        ".lefthook.yml",
        ".mcp.json",
        ".npmrc",
        ".pnp.cjs",
        ".pnp.loader.mjs",
        ".pre-commit-config.yaml",
        ".profile",
        ".ripgreprc",
        ".yarnrc",
        ".yarnrc.yml",
        ".zlogin",
        ".zlogout",
        ".zprofile",
        ".zshenv",
        ".zshrc",
        "bunfig.toml",
        "lefthook.yaml",
        "lefthook.yml",
        "pyrightconfig.json",
    ]
)

# Tools that are never asked for.
UNASKED_TOOLS = frozenset(
    [
        "Agent",
        "AskUserQuestion",
        "BashOutput",
        "CronCreate",
        "CronDelete",
        "CronList",
        "EnterPlanMode",
        "EnterWorktree",
        "ExitPlanMode",
        "ExitWorktree",
        "KillShell",
        "ListAgents",
        "ListMcpResourcesTool",
        "ReadMcpResourceTool",
        "ReportFindings",
        "ScheduleWakeup",
        "SendMessage",
        "Skill",
        "Task",
        "TaskCreate",
        "TaskGet",
        "TaskList",
        "TaskOutput",
        "TaskStop",
        "TaskUpdate",
        "TodoRead",
        "TodoWrite",
        "ToolSearch",
        "Workflow",
    ]
)

# Hosts (or host and path) that WebFetch may read without asking.
PREAPPROVED_HOSTS = frozenset(
    [
        "platform.claude.com",
        "code.claude.com",
        "modelcontextprotocol.io",
        "agentskills.io",
        "github.com/anthropics",
        "docs.python.org",
        "en.cppreference.com",
        "docs.oracle.com",
        "learn.microsoft.com",
        "developer.mozilla.org",
        "www.php.net",
        "docs.swift.org",
        "kotlinlang.org",
        "ruby-doc.org",
        "doc.rust-lang.org",
        "www.typescriptlang.org",
        "react.dev",
        "angular.io",
        "vuejs.org",
        "nextjs.org",
        "expressjs.com",
        "nodejs.org",
        "bun.sh",
        "jquery.com",
        "getbootstrap.com",
        "tailwindcss.com",
        "d3js.org",
        "threejs.org",
        "redux.js.org",
        "webpack.js.org",
        "jestjs.io",
        "reactrouter.com",
        "docs.djangoproject.com",
        "flask.palletsprojects.com",
        "fastapi.tiangolo.com",
        "pandas.pydata.org",
        "numpy.org",
        "www.tensorflow.org",
        "pytorch.org",
        "scikit-learn.org",
        "matplotlib.org",
        "requests.readthedocs.io",
        "jupyter.org",
        "laravel.com",
        "symfony.com",
        "docs.spring.io",
        "hibernate.org",
        "tomcat.apache.org",
        "gradle.org",
        "maven.apache.org",
        "asp.net",
        "dotnet.microsoft.com",
        "blazor.net",
        "reactnative.dev",
        "docs.flutter.dev",
        "developer.apple.com",
        "developer.android.com",
        "keras.io",
        "spark.apache.org",
        "www.mongodb.com",
        "redis.io",
        "www.postgresql.org",
        "dev.mysql.com",
        "www.sqlite.org",
        "graphql.org",
        "prisma.io",
        "docs.aws.amazon.com",
        "cloud.google.com",
        "kubernetes.io",
        "www.docker.com",
        "www.terraform.io",
        "www.ansible.com",
        "vercel.com/docs",
        "docs.netlify.com",
        "devcenter.heroku.com",
        "cypress.io",
        "selenium.dev",
        "docs.unity.com",
        "docs.unrealengine.com",
        "git-scm.com",
        "nginx.org",
        "httpd.apache.org",
    ]
)
