"""The click group, its lazily imported commands, and the mapping from errors to exit codes."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence

import click

from skilltrace_mlflow import __version__
from skilltrace_mlflow.cli._common import EXIT_INTERRUPTED, drop_output, note
from skilltrace_mlflow.errors import SkillTraceError

__all__ = ["app", "run"]

EXIT_USAGE = 2
EXIT_UNKNOWN = 3
_LONGEST_MESSAGE = 300
# Dependencies that the light installation leaves out (docs/dependencies.md), by what is imported.
_LEFT_OUT = ("mlflow", "pandas", "databricks", "tenacity")

# Name on the command line: (module in this package, help in one line). Kept here so that the list
# of commands can be printed without importing any of them.
_COMMANDS = {
    "autolog": ("autolog", "Set up, show or disable MLflow's tracing of Claude Code."),
    "capture": ("capture", "Add a session to a skill's candidates for test cases."),
    "compare": ("compare", "Compare two evaluations: better, worse, appeared, vanished."),
    "convert": ("convert", "Write earlier results in other formats."),
    "doctor": ("doctor", "Check what a set-up needs, and say the way out."),
    "expect": ("expect", "Propose expectations from a recorded trace."),
    "import": ("import_", "Log transcripts as MLflow traces, once each."),
    "import-evals": ("import_evals", "Read other tools' suites and results."),
    "init": ("init", "Write a commented manifest and one test case for a skill."),
    "list-traces": ("list_traces", "List sessions on this machine or traces of an experiment."),
    "mlflow-eval": ("mlflow_eval", "Evaluate a skill's test cases and log to MLflow."),
    "promote": ("promote", "Make approved candidates test cases."),
    "register": ("register", "Let a scorer watch an experiment's new traces."),
    "review": ("review", "Approve, edit or reject a skill's candidates."),
    "run": ("run", "Run Claude Code on a skill's test cases, then evaluate what it did."),
    "schema": ("schema", "Print the JSON Schema of a manifest or a ground truth."),
    "show": ("show", "Show the timeline of one trace."),
    "summarize": ("summarize", "Print the metrics of transcripts."),
    "trace-eval": ("trace_eval", "Score traces against a skill's expectations."),
    "triggers": ("triggers", "Count how often skills were offered and loaded in sessions."),
    "validate": ("validate", "Check manifests and ground truths."),
}


class _LazyGroup(click.Group):
    """A group that imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"skilltrace_mlflow.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(_COMMANDS.items())])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: skilltrace-mlflow summarize ~/.claude/projects/my-project/*.jsonl",
)
@click.version_option(__version__, prog_name="skilltrace-mlflow")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def app(ctx: click.Context, debug: bool) -> None:
    """Score what Claude Code did, given a skill, against expectations written in YAML.

    Exit codes: 0 all expectations met, 1 an expectation or gate failed, 2 bad usage, configuration
    or input, 3 could not be evaluated, 130 interrupted.
    """
    ctx.obj = {"debug": debug}
    # MLflow's would write below the home folder, and call home, for who only wanted a verdict.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def run(
    arguments: Sequence[str], command: click.Command = app, name: str = "skilltrace-mlflow"
) -> int:
    """Run the command line and return its exit code; errors become one line each.

    `command` is another entry point than the group of all commands, and `name` what it is called.
    """
    arguments = list(arguments)
    debug = "--debug" in arguments
    if debug:  # accepted anywhere, since a user adds it to the end of a command that failed
        arguments = ["--debug", *(a for a in arguments if a != "--debug")]
    with _quiet_pipe():
        try:
            result = command.main(args=arguments, standalone_mode=False, prog_name=name)
            sys.stdout.flush()
        except click.exceptions.Exit as stop:
            return stop.exit_code
        except click.Abort:
            note("interrupted")
            return EXIT_INTERRUPTED
        except KeyboardInterrupt:
            note("interrupted")
            return EXIT_INTERRUPTED
        except click.ClickException as error:
            error.show()
            return EXIT_USAGE
        except SkillTraceError as error:
            return _told(str(error), error, error.exit_code, debug=debug)
        except BrokenPipeError:
            raise
        except Exception as error:  # no error of ours: an exit code of 1 would say "failed"
            if (package := _left_out(error)) is not None:
                return _told(_needs(package), error, EXIT_USAGE, debug=debug)
            return _told(_unexpected(error, debug=debug), error, EXIT_UNKNOWN, debug=debug)
        return result if isinstance(result, int) else 0
    return 0


def _left_out(error: Exception) -> str | None:
    """The package that is missing, if it is one that a light installation leaves out."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    package = error.name.partition(".")[0]
    return package if package in _LEFT_OUT else None


def _needs(package: str) -> str:
    return (
        f"this needs the package {package}, which is not installed here (a light installation); "
        "pip install skilltrace-mlflow installs everything"
    )


def _unexpected(error: Exception, *, debug: bool) -> str:
    text = " ".join(str(error).split())[:_LONGEST_MESSAGE]
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return told if debug else f"{told} (unexpected; --debug shows where)"


def _told(message: str, error: Exception, code: int, *, debug: bool) -> int:
    """Say what went wrong, with the traceback only where it was asked for."""
    if debug:
        import traceback

        note("".join(traceback.format_exception(error)).rstrip())
    for line in message.splitlines() or [type(error).__name__]:
        note(f"error: {line}")
    return code


@contextlib.contextmanager
def _quiet_pipe() -> Iterator[None]:
    """A reader that went away (`| head`) is no error of ours."""
    try:
        yield
    except BrokenPipeError:
        drop_output()
