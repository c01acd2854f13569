"""Programs that run none of their operands, whatever these say.

Of any other program that is no known carrier, a tail of operands may be a command that it runs.
What of these does run something by certain options (`find -exec`, `docker run`, `git bisect run`)
is read in `wrappers`.
"""

from __future__ import annotations

__all__ = ["LEAVE_ALONE"]

_NAMES = """
    : . [ [[ ack addgroup adduser ag alias apk apropos apt apt-cache apt-get apt-mark aptitude awk
    aws az base64 basename bat bc black brew bun bunzip2 bzip2 cal cargo cat cd chgrp chmod chown
    cksum clang cmake cmp code column comm conda continue cp createdb crontab csplit curl cut
    databricks date dd declare df diff dig dirname dirs dnf docker dpkg dpkg-query dropdb dropuser
    du echo ed egrep emacs ex expand export expr false fd fdfind fg fgrep file find flake8
    fmt fold free gawk gcc gcloud gem getent gh git glab go grep groupadd groups gsutil gunzip gzip
    hash head helm help hexdump history host hostname id ifconfig info install ip isort jobs join jq
    kill killall kubectl less let ln local locale locate ls lsof mamba man mapfile md5sum micro
    micromamba mkdir mkfifo mktemp more mount mv mypy mysql nano nc netstat nl node nslookup nvim od
    openssl pacman pandoc paste patch pgrep ping pip pkg-config pkill popd port pr print printenv
    printf psql pushd pwd pyright pytest rcs read readarray readlink readonly realpath reboot
    redis-cli rename return rg rm rmdir rpm rsync ruff rustc rustup scp sed select seq service set
    sha1sum sha256sum shasum shift shopt shred shutdown sleep snow sort split sqlite3 ss stat
    strings stty subl sum svn systemctl tac tail tar tee terraform test tldr tofu top touch tr tree
    true truncate tsc tsort type typeset ulimit umask umount unalias uname unexpand uniq unlink
    unset unxz unzip uptime useradd userdel usermod vault vi vim view wait wc wget whatis whereis
    which who whoami xxd xz yamllint yq yum zcat zip zstd podman nerdctl npm pnpm yarn poetry uv
    pipx make gmake ninja gradle mvn rake ant bazel meson prettier eslint codesign
    command getopts ls-files trash wl-copy pbcopy xclip xsel notify-send terminal-notifier say
    logger
    mail open xdg-open start cygpath update-alternatives apt-file aptitude dotnet nuget composer
    claude gemini codex llm ollama aider gpg ssh-keygen ssh-add ssh-copy-id mkfs fdisk lsblk blkid
    dmesg journalctl ps pstree watchman direnv asdf mise pyenv nvm rbenv jenv volta fnm sdk
    cd.. exit break trap times suspend disown bg bind complete compgen compopt enable caller
    select-string sls write-host write-output write-warning write-error write-verbose write-debug
    write-information get-help get-command set-content add-content out-file out-string
    cowsay csvlook dot envsubst figlet glow gron hadolint highlight jsonlint lolcat markdownlint
    mdcat pg_format pv pygmentize shellcheck shfmt sponge sqlfluff sqlfmt sqlformat tidy xmllint
    fc logout pushd mdfind defaults plutil launchctl sw_vers ditto
"""
# PowerShell's, in small letters: what prints, reads, formats, compares and sets.
_CMDLETS = """
    write-output write-host write-error write-warning write-verbose write-debug write-information
    write-progress out-host out-null out-string out-default format-table format-list format-wide
    get-content get-childitem get-item get-itemproperty get-location get-command get-help get-date
    get-process get-service get-variable get-member get-filehash get-alias get-history
    select-string select-object sort-object group-object measure-object compare-object
    convertto-json convertfrom-json convertto-csv convertfrom-csv test-path resolve-path join-path
    split-path set-location push-location pop-location set-variable set-content add-content
    out-file new-item copy-item move-item rename-item remove-item clear-content clear-host
    start-sleep stop-process import-csv export-csv
"""
LEAVE_ALONE = frozenset((*_NAMES.split(), *_CMDLETS.split()))
