"""The command line: global options, the commands, and the boundary where every error ends."""

import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from writer_cli import __version__, render
from writer_cli.app import App, GlobalOptions
from writer_cli.errors import ReaderGoneError, UsageError, WriterError, redact
from writer_cli.exits import ExitCode
from writer_cli.options import signature_of
from writer_cli.settings import flag_of
from writer_cli.terminal import Terminal

COMMANDS = ("complete", "complete-custom", "batch", "models", "customizations", "config", "sandbox")
"""Every command in the order of the help; its module is imported when it is used."""

MERGE = "batch merge"
"""A command of two words."""

PROGRAMS = ("writer", "writer-cli")
"""The names that the program is installed under."""

EPILOG = "Exit codes: " + "; ".join(
    f"{code.value} {code.reason.partition(':')[0].partition(' (')[0]}" for code in ExitCode
)


class _Commands(TyperGroup):
    """The commands by name, each built when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        names: dict[str, Any] = dict.fromkeys(COMMANDS)
        self.commands = names  # typer looks for what a mistyped name may have meant

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # `batch` takes a file, and `batch merge` is a command: a file of that name is ./merge.
        if args[:2] == MERGE.split():
            return super().resolve_command(ctx, [MERGE, *args[2:]])
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as the group calls it
        if cmd_name not in {*COMMANDS, MERGE}:
            return None
        module = importlib.import_module(f"writer_cli.commands.{re.sub('[- ]', '_', cmd_name)}")
        app = typer.Typer(
            name=cmd_name,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=self.rich_markup_mode,
            context_settings=_CONTEXT,
        )
        module.register(app)
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command


_CONTEXT = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, kw_only=True)
class _RootOptions(GlobalOptions):
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False


def _root(ctx: typer.Context, **given: Any) -> None:
    """Text completion with Writer's language models.

    writer complete --sandbox "Once upon a time"
    """
    app: App = ctx.obj
    if given.pop("version"):
        app.terminal.write(f"writer {__version__}\n")
        raise typer.Exit
    app.given_before = given
    if ctx.invoked_subcommand is None:
        if app.terminal.stdout_is_terminal:
            app.terminal.write(ctx.get_help())
        raise UsageError("no command", hint='writer --help, or: writer complete "Once upon a time"')


_root.__signature__ = signature_of(_RootOptions)  # type: ignore[attr-defined]


def _command_line(terminal: Terminal) -> Any:
    app = typer.Typer(
        cls=_Commands,
        callback=_root,
        pretty_exceptions_enable=False,
        # Rich help takes twice as long to draw: a person gets it, a pipe does not.
        rich_markup_mode="rich" if terminal.stdout_is_terminal else None,
        context_settings=_CONTEXT,
        epilog=EPILOG,
        invoke_without_command=True,
    )
    return typer.main.get_command(app)


def main(arguments: Sequence[str], terminal: Terminal, *, program: str = PROGRAMS[0]) -> int:
    """Run the program and return what it exits with. Every error ends here."""
    as_json = "--json" in arguments[: arguments.index("--") if "--" in arguments else None]
    app = App(terminal)
    try:
        return _run(arguments, app, program)
    except ReaderGoneError as error:
        return error.exit_code
    except WriterError as error:
        failure = error
        if isinstance(error, UsageError) and error.field is not None:
            error.message = error.message.replace(error.field, flag_of(error.field), 1)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else program
        failure = UsageError(error.format_message(), hint=f"{path} --help lists what there is")
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.READER_GONE
    except Exception as error:  # noqa: BLE001 - the boundary
        failure = _bug(error, app)
    finally:
        app.close()
    render.error(terminal, failure, as_json=as_json)
    return failure.exit_code


def _run(arguments: Sequence[str], app: App, program: str) -> int:
    command = _command_line(app.terminal)
    if f"_{program}_COMPLETE".replace("-", "_").upper() in app.terminal.env:
        command.main(args=[], prog_name=program)  # answers the shell and ends the process
    try:
        with command.make_context(program, list(arguments), obj=app) as context:
            command.invoke(context)
    except typer.Exit as error:
        return error.exit_code
    return ExitCode.OK


def _bug(error: Exception, app: App) -> WriterError:
    if app.terminal.env.get("WRITER_DEBUG"):
        app.terminal.note("".join(traceback.format_exception(error)))
    message = redact(f"{type(error).__name__}: {error}", app.terminal.env.get("WRITER_API_KEY"))
    return WriterError(
        f"this is a bug of ours: {message}",
        hint="WRITER_DEBUG=1 shows where; please report it with that",
    )


def program_name() -> str:
    """Return the name that the program was started under."""
    name = os.path.basename(sys.argv[0])  # noqa: PTH119 - argv may be anything
    return name if name in PROGRAMS else PROGRAMS[0]
