"""The tables of commands that run another command: `sudo`, `env`, `timeout`, `docker exec`, …

Read off their manual pages: which options take the next word as their value, since only then the
first word that is not an option is the command. `prefilter` derives its names from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "CARRIERS",
    "PREFIXES",
    "SHELLS",
    "SYNONYMS",
    "TEXT_OPERANDS",
    "TEXT_OPTION",
    "TYPED_INTO",
    "Prefix",
]


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """A command whose operands are a command: the options that take a value, the flags that do
    not, how many operands come first, and whether assignments may. `program` is what the operands
    are the arguments of, where it is not among them (`minikube kubectl -- get pods`). `joins`: the
    operands are joined and read by a shell, as ssh does."""

    valued: str = ""
    flags: str = ""
    operands: int = 0
    assignments: bool = False
    program: str = ""
    joins: bool = False


_WHERE = "-n -p -r --name --prefix --root-prefix --cwd -e -a --attach --env"
_SLURM = (
    "-n -N -c -p -t -J -o -e -A -w -x -G -q -D --ntasks --nodes --cpus-per-task --partition --time "
    "--job-name --output --error --account --mem --gres --gpus --qos --chdir --nodelist --exclude"
)
_CONTAINER = "-B --bind -H --home -W --pwd --env --env-file --overlay -w --workdir --app"
_MPI = "-n -np -c -H -host --host -hostfile --hostfile -x --map-by --bind-to -wdir --wdir"
# Launchers of versions, environments, containers, jobs and remote machines.
_LAUNCHERS: Mapping[str, Prefix] = {
    "rtk": Prefix(flags="-v -u --verbose --ultra-compact --skip-env"),
    **{f"rtk {sub}": Prefix() for sub in ("err", "proxy", "run", "summary", "test")},
    "micromamba run": Prefix(valued=_WHERE, flags="-v --no-capture-output"),
    "pixi run": Prefix(
        valued="-e --environment --manifest-path", flags="--frozen --locked -q -v --clean-env"
    ),
    "pixi exec": Prefix(valued="-s --spec -w --with -c --channel -p --platform"),
    "devcontainer exec": Prefix(
        valued="--workspace-folder --config --container-id --id-label --docker-path --remote-env "
        "--docker-compose-path --user-data-folder --log-level --override-config"
    ),
    "limactl shell": Prefix(valued="--workdir --shell", flags="--debug", operands=1),
    "lima": Prefix(),
    "colima ssh": Prefix(valued="-p --profile", joins=True),
    "ip netns exec": Prefix(operands=1),
    "launchctl asuser": Prefix(operands=1),
    "nomad alloc exec": Prefix(valued="-task -job -e", operands=1),
    "sandbox-exec": Prefix(valued="-f -n -p -D"),
    "flatpak run": Prefix(
        valued="--command --branch --arch --cwd --env --filesystem --share --socket", operands=1
    ),
    "multipass exec": Prefix(valued="-d --working-directory", operands=1),
    "orb": Prefix(valued="-m -u -w --machine --user --workdir"),
    "orbctl run": Prefix(valued="-m -u -w --machine --user --workdir"),
    "toolbox run": Prefix(valued="-c -d -r --container --distro --release"),
    "distrobox enter": Prefix(valued="-n --name -a --additional-flags", operands=1),
    "flatpak-spawn": Prefix(
        valued="--env --directory --forward-fd", flags="--host --clear-env --watch-bus --sandbox"
    ),
    **{
        f"{program} {sub}": Prefix(valued=_CONTAINER, operands=1)
        for program in ("apptainer", "singularity")
        for sub in ("exec", "run")
    },
    "srun": Prefix(valued=_SLURM, flags="-l -v -Q --pty --exclusive"),
    "salloc": Prefix(valued=_SLURM),
    **{program: Prefix(valued=_MPI) for program in ("mpirun", "mpiexec", "orterun")},
    "oc rsh": Prefix(valued="-n -c --namespace --container --shell --timeout", operands=1),
    "kubectl rsh": Prefix(valued="-n -c --namespace --container --shell --timeout", operands=1),
    **{
        f"{program} kubectl": Prefix(valued="-p --profile", program="kubectl")
        for program in ("k0s", "k3s", "microk8s", "minikube", "rke2")
    },
    "microk8s helm": Prefix(program="helm"),
    "microk8s helm3": Prefix(program="helm"),
    "minikube ssh": Prefix(valued="-p -n --profile --node", joins=True),
    "kubecolor": Prefix(program="kubectl"),
    "docker container exec": Prefix(
        valued="-e -u -w --env --user --workdir --env-file --detach-keys",
        flags="-i -t -it -ti -d --interactive --tty --detach --privileged",
        operands=1,
    ),
    "watchexec": Prefix(
        valued="-e -w -f -i -s -d -p -E -o --exts --watch --filter --ignore --signal --debounce "
        "--poll --env --on-busy-update --shell --stop-signal --workdir --delay-run",
        flags="-r -n -c -q -v --restart --clear --postpone --no-vcs-ignore",
    ),
    "gum spin": Prefix(
        valued="-s -a --spinner --title --align --timeout", flags="--show-output --show-error"
    ),
    "pueue add": Prefix(
        valued="-w -d -g -a -l -o -p --working-directory --delay --group --after --label",
        flags="-i -s -e -u --immediate --stashed --escape --print-task-id",
        joins=True,
    ),
    "tsp": Prefix(valued="-L -D -W -N", flags="-n -f -m -d -B -g -E"),
    "nq": Prefix(flags="-c -q"),
    "sem": Prefix(valued="-j --jobs --id", flags="--fg --bg --wait"),
    "retry": Prefix(valued="-t -d -s -m -x --times --delay --tries --attempts --max"),
    "script": Prefix(
        valued="-E -I -O -B -T -t -m -o --echo --log-in --log-out --log-io --log-timing "
        "--logging-format --output-limit",
        flags="-a -e -f -q -k -r -p -d --append --return --flush --force --quiet",
        operands=1,
    ),
    "ssh-agent": Prefix(valued="-a -E -t", flags="-c -s -D -d"),
    "mosh": Prefix(valued="-p --port --ssh --server --client --predict", operands=1),
    "tsh ssh": Prefix(valued="-l -p --login --port --cluster --proxy", operands=1, joins=True),
    "nomad exec": Prefix(valued="-task -job -e", operands=1),
    "cpulimit": Prefix(valued="-l -p -e --limit"),
    "chrt": Prefix(valued="-T -P -D", flags="-b -f -i -o -r -d -a", operands=1),
    "setarch": Prefix(operands=1),
    "linux32": Prefix(), "linux64": Prefix(), "time-limit": Prefix(operands=1),
    "systemd-inhibit": Prefix(valued="--what --who --why --mode"),
    "s6-setuidgid": Prefix(operands=1),
    "setuidgid": Prefix(operands=1),
    "chpst": Prefix(valued="-u -U -b -/ -n -l -L -e -m -d -o -p -f -c -r -t"),
    "with-contenv": Prefix(),
    "envdir": Prefix(operands=1),
    "env-cmd": Prefix(valued="-f -e -r --file --environments --rc-file"),
    "dotenvx run": Prefix(valued="-f -e --env-file --env -fk", flags="--overload --quiet"),
    "corepack": Prefix(),
    "volta run": Prefix(valued="--node --npm --yarn --pnpm --env"),
    "fnm exec": Prefix(valued="--using"),
    "nvm exec": Prefix(operands=1, flags="--silent"),
    **{f"{program} exec": Prefix() for program in ("jenv", "pyenv", "rbenv", "rtx")},
    "proto run": Prefix(),
    "tox exec": Prefix(valued="-e -c"),
    "uv tool run": Prefix(valued="--from --with --python -p --index --index-url"),
    "yarn npm": Prefix(program="npm"),
    "yarn workspace": Prefix(operands=1, program="yarn"),
    "yarn workspaces foreach exec": Prefix(),
    "lerna exec": Prefix(valued="--scope --ignore --concurrency", joins=True),
    "nx exec": Prefix(),
    "railway run": Prefix(valued="-s -e --service --environment"),
    "teller run": Prefix(valued="-c --config"),
    "saml2aws exec": Prefix(valued="-a -p --idp-account --exec-profile"),
    "ddev exec": Prefix(valued="-d -s --dir --service"),
    "nix shell": Prefix(), "nix develop": Prefix(), "guix shell": Prefix(),
    "devbox run": Prefix(valued="-c -e --config --env"),
    "perf stat": Prefix(valued="-e -r -o -I"), "perf record": Prefix(valued="-e -o -F -g"),
    "py-spy record": Prefix(valued="-o -r -d -f --output --rate --duration --format"),
    "rr record": Prefix(), "heaptrack": Prefix(valued="-o"),
    "bwrap": Prefix(), "runc exec": Prefix(operands=1), "crictl exec": Prefix(operands=1),
    "gnome-terminal": Prefix(), "wezterm start": Prefix(valued="--cwd --workspace --class"),
    "rustup run": Prefix(flags="--install", operands=1),
    "ip vrf exec": Prefix(operands=1), "composer exec": Prefix(),
    "podman unshare": Prefix(), "docker unshare": Prefix(), "buildah unshare": Prefix(),
    "buildah run": Prefix(valued="-v --volume --user --workingdir -e --env", operands=1),
    "bun run": Prefix(valued="--cwd --filter -c --config", flags="--bun -b --silent --watch --hot"),
    "wezterm cli spawn": Prefix(valued="--cwd --pane-id --window-id --domain-name --workspace"),
    **{
        f"gh {name} ssh": Prefix(
            valued="-c -d -R --codespace --config --profile --repo --server-port", joins=True
        )
        for name in ("codespace", "cs")
    },
    "ctr task exec": Prefix(operands=1), "daemonize": Prefix(valued="-c -e -o -p -l -u"),
}  # fmt: skip

_DOCKER_RUN = Prefix(
    valued="-e -u -w -v -p -h -l -m --env --user --workdir --volume --publish --name --network "
    "--net --mount --entrypoint --env-file --label --memory --cpus --platform --pull --restart "
    "--hostname --add-host --device --gpus --ulimit --tmpfs --cap-add --cap-drop --ipc --pid "
    "--security-opt --shm-size --log-driver --expose --dns",
    flags="-i -t -it -ti -d -P --interactive --tty --detach --rm --privileged --init --read-only",
    operands=1,
)

PREFIXES: Mapping[str, Prefix] = {
    **_LAUNCHERS,
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
    "bunx": Prefix(valued="-p --package", flags="--bun -b --silent --verbose --no-install"),
    "bun x": Prefix(valued="-p --package", flags="--bun -b --silent --verbose --no-install"),
    "pnpx": Prefix(valued="--package", flags="-c --shell-mode --silent"),
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
    "uv pip": Prefix(program="pip"),
    "pipenv run": Prefix(),
    "rye run": Prefix(),
    "bundle exec": Prefix(),
    "npm exec": Prefix(valued="--package -c --call", flags="-y --yes --no"),
    "npm x": Prefix(valued="--package -c --call", flags="-y --yes --no"),
    "pnpm exec": Prefix(),
    "pnpm dlx": Prefix(),
    "yarn exec": Prefix(),
    "yarn dlx": Prefix(),
    "conda run": Prefix(valued="-n -p --name --prefix --cwd", flags="--no-capture-output -v"),
    "mamba run": Prefix(valued="-n -p --name --prefix --cwd", flags="--no-capture-output -v"),
    "mise exec": Prefix(),
    "direnv exec": Prefix(operands=1),
    "adb shell": Prefix(joins=True),
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
    "heroku run": Prefix(valued="-a --app -r --remote -s --size", joins=True),
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
    "docker run": _DOCKER_RUN,
    "docker container run": _DOCKER_RUN,
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

SHELLS = frozenset(["sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "mksh", "rbash"])
# Programs under the name that the table has.
SYNONYMS = {
    "podman": "docker",
    "nerdctl": "docker",
    "oc": "kubectl",
    "docker-compose": "docker compose",
    "podman-compose": "docker compose",
}
# Options whose value is a command line for a shell.
TEXT_OPTION: Mapping[str, tuple[str, ...]] = {
    "ansible": ("-a", "--args"),
    "aws": ("--command",),
    "az": ("--scripts", "--command-to-execute", "--exec-command"),
    "env": ("-S", "--split-string"),
    "doctl": ("--ssh-command",),
    "entr": ("-s",),
    "expect": ("-c",),
    "flock": ("-c", "--command"),
    "fly": ("-C", "--command"),
    "flyctl": ("-C", "--command"),
    "gcloud": ("--command",),
    "man": ("-P", "--pager"),
    **dict.fromkeys(("nc", "ncat", "netcat"), ("-c", "-e", "--exec", "--sh-exec")),
    "nix-shell": ("--run", "--command"),
    "nodemon": ("-x", "--exec"),
    "npm": ("-c", "--call"),
    "npx": ("-c", "--call"),
    "rsync": ("--rsync-path",),
    "runuser": ("-c", "--command"),
    "sbatch": ("--wrap",),
    "script": ("-c", "--command"),
    "sg": ("-c",),
    "snap": ("-c",),
    "su": ("-c", "--command"),
    "tar": ("--to-command", "--use-compress-program", "-I"),
    "vagrant": ("-c", "--command"),
}
# Programs whose operands are command lines.
TEXT_OPERANDS = frozenset(["concurrently", "hyperfine"])
# What reaches their standard input runs in a shell.
TYPED_INTO = frozenset(["at", "batch", "su"])
# Programs that `wrappers` reads in ways of their own.
_OWN_WAYS = (
    ". autossh cmd coproc coverage eval fd fdfind find flock git nix osascript parallel powershell "
    "pwsh source sops ssh tmux trap watch"
)
# The name of every program that may run another one.
CARRIERS = frozenset(
    [
        *(key.split()[0] for key in PREFIXES),
        *SHELLS,
        *SYNONYMS,
        *TEXT_OPTION,
        *TEXT_OPERANDS,
        *TYPED_INTO,
        *_OWN_WAYS.split(),
    ]
)
