"""The table of commands whose operands are a command: `sudo`, `env`, `timeout`, `docker exec`, …

Read off their manual pages: which options take the next word as their value, since only then the
first word that is not an option is the command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PREFIXES", "Prefix"]


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """A command whose operands are a command: the options that take a value, the flags that do
    not, how many operands come first, and whether assignments may."""

    valued: str = ""
    flags: str = ""
    operands: int = 0
    assignments: bool = False


PREFIXES: Mapping[str, Prefix] = {
    "sudo": Prefix(
        valued="-u -g -h -p -C -T -R -D -r -t -U --user --group --host --prompt --chroot --chdir "
        "--close-from --command-timeout --role --type --other-user",
        flags="-A -b -E -e -H -i -K -k -l -n -P -S -s -V -v --askpass --background --preserve-env "
        "--set-home --login --non-interactive --stdin --shell",
        assignments=True,
    ),
    "doas": Prefix(valued="-u -C -a", flags="-L -n -s"),
    "env": Prefix(
        valued="-u -C --unset --chdir -P",
        flags="-i -0 -v --ignore-environment --null --debug -",
        assignments=True,
    ),
    "nice": Prefix(valued="-n --adjustment"),
    "ionice": Prefix(valued="-c -n -p --class --classdata", flags="-t --ignore"),
    "nohup": Prefix(),
    "setsid": Prefix(flags="-c -f -w --ctty --fork --wait"),
    "timeout": Prefix(
        valued="-s -k --signal --kill-after",
        flags="--foreground --preserve-status -v --verbose",
        operands=1,
    ),
    "gtimeout": Prefix(valued="-s -k --signal --kill-after", operands=1),
    "time": Prefix(valued="-f -o --format --output", flags="-p -v -a -q"),
    "stdbuf": Prefix(valued="-i -o -e --input --output --error"),
    "chroot": Prefix(valued="--userspec --groups", operands=1),
    "command": Prefix(flags="-p"),
    "builtin": Prefix(),
    "exec": Prefix(valued="-a", flags="-c -l -cl -lc"),
    "busybox": Prefix(),
    "toybox": Prefix(),
    "xargs": Prefix(
        valued="-I -n -P -d -E -L -s -a --max-args --max-procs --delimiter --replace --arg-file "
        "--max-lines --max-chars --eof",
        flags="-0 -r -t -p -x -i -l -e --null --no-run-if-empty --verbose --interactive --exit "
        "--open-tty -o",
    ),
    "parallel": Prefix(valued="-j --jobs -a --arg-file -d --delimiter -n -N -S --sshlogin"),
    "strace": Prefix(valued="-e -o -p -s -u -E -P -O -S -a -b -I -X"),
    "ltrace": Prefix(valued="-e -o -p -s -u -n -a -l"),
    "unbuffer": Prefix(flags="-p"),
    "caffeinate": Prefix(valued="-t -w"),
    "firejail": Prefix(),
    "unshare": Prefix(),
    "runuser": Prefix(valued="-u -g -G -c --user --command", flags="-l -m -p --login"),
    "npx": Prefix(valued="-p --package -c --call", flags="-y --yes --no -q --no-install"),
    "bunx": Prefix(),
    "uvx": Prefix(valued="--from --with --python -p --index --index-url"),
    "pipx run": Prefix(valued="--spec --python --pip-args"),
    "uv run": Prefix(
        valued="--with --python -p --project --directory --extra --group --package --env-file "
        "--with-requirements --index-url --cache-dir --config-file --color",
        flags="--no-sync --frozen --locked --isolated --all-extras --no-project --active --quiet "
        "-q --offline --no-cache",
    ),
    "poetry run": Prefix(),
    "pdm run": Prefix(),
    "hatch run": Prefix(),
    "uv pip": Prefix(),
    "pipenv run": Prefix(),
    "rye run": Prefix(),
    "bundle exec": Prefix(),
    "npm exec": Prefix(valued="--package -c --call"),
    "pnpm exec": Prefix(),
    "pnpm dlx": Prefix(),
    "yarn exec": Prefix(),
    "yarn dlx": Prefix(),
    "conda run": Prefix(valued="-n -p --name --prefix --cwd", flags="--no-capture-output -v"),
    "mamba run": Prefix(valued="-n -p --name --prefix --cwd", flags="--no-capture-output -v"),
    "mise exec": Prefix(),
    "direnv exec": Prefix(operands=1),
    "adb shell": Prefix(),
    "arch": Prefix(),
    "asdf exec": Prefix(),
    "aws-vault exec": Prefix(valued="-d --duration --region", operands=1),
    "catchsegv": Prefix(),
    "chamber exec": Prefix(operands=1),
    "chronic": Prefix(flags="-e -v"),
    "cross-env": Prefix(assignments=True),
    "cross-env-shell": Prefix(assignments=True),
    "dbus-run-session": Prefix(),
    "doppler run": Prefix(valued="-p -c --project --config --command"),
    "dotenv": Prefix(valued="-f -e --file"),
    "dotenv run": Prefix(),
    "dumb-init": Prefix(),
    "entr": Prefix(),
    "envchain": Prefix(operands=1),
    "fakeroot": Prefix(),
    "gosu": Prefix(operands=1),
    "heroku run": Prefix(valued="-a --app -r --remote -s --size"),
    "infisical run": Prefix(valued="--env --path"),
    "lxc exec": Prefix(operands=1),
    "lxc-attach": Prefix(valued="-n --name"),
    "mise x": Prefix(),
    "nocorrect": Prefix(),
    "noglob": Prefix(),
    "nsenter": Prefix(valued="-t -S -G --target --setuid --setgid", flags="-a -m -u -i -n -p -C"),
    "numactl": Prefix(valued="-N -m -C -i -l --cpunodebind --membind --physcpubind --interleave"),
    "op run": Prefix(valued="--env-file"),
    "pkexec": Prefix(valued="--user"),
    "prlimit": Prefix(),
    "proot": Prefix(valued="-b -r -w -q"),
    "proxychains": Prefix(valued="-f"),
    "proxychains4": Prefix(valued="-f"),
    "rlwrap": Prefix(),
    "run0": Prefix(valued="-u -g --user --group --unit --property --slice"),
    "screen": Prefix(valued="-S -s -c -T -h -t -e -p", flags="-d -m -D -R -r -L"),
    "setpriv": Prefix(),
    "shx": Prefix(),
    "sshpass": Prefix(valued="-p -f -d -P", flags="-e -v"),
    "su-exec": Prefix(operands=1),
    "systemd-run": Prefix(
        valued="-p -u -E -M -H --property --unit --slice --uid --gid --setenv --working-directory "
        "--on-active --on-calendar --nice --description",
        flags="-t -P -q -G -d --scope --user --system --wait --pipe --pty --quiet --collect",
    ),
    "taskset": Prefix(flags="-a -c -p", operands=1),
    "tini": Prefix(valued="-p -e", flags="-s -g -v"),
    "valgrind": Prefix(),
    "winpty": Prefix(),
    "wsl": Prefix(valued="-d -u --distribution --user --cd", flags="-e --exec"),
    "xvfb-run": Prefix(valued="-n -s -e -f -w -p", flags="-a -l"),
    "yarn run": Prefix(),
    "docker exec": Prefix(
        valued="-e -u -w --env --user --workdir --env-file --detach-keys",
        flags="-i -t -it -ti -d --interactive --tty --detach --privileged",
        operands=1,
    ),
    "docker run": Prefix(
        valued="-e -u -w -v -p -h -l -m --env --user --workdir --volume --publish --name --network "
        "--net --mount --entrypoint --env-file --label --memory --cpus --platform --pull --restart "
        "--hostname --add-host --device --gpus --ulimit --tmpfs --cap-add --cap-drop --ipc --pid "
        "--security-opt --shm-size --log-driver --expose --dns",
        flags="-i -t -it -ti -d -P --interactive --tty --detach --rm --privileged --init "
        "--read-only",
        operands=1,
    ),
    "docker compose exec": Prefix(
        valued="-e -u -w --env --user --workdir --index", flags="-T -d --no-TTY", operands=1
    ),
    "docker compose run": Prefix(
        valued="-e -u -w -v -p --env --user --workdir --volume --publish --name --entrypoint",
        flags="-T -d --rm --no-deps --build",
        operands=1,
    ),
    "kubectl exec": Prefix(
        valued="-n -c --namespace --container --context -f", flags="-i -t -it -ti -q", operands=1
    ),
}
