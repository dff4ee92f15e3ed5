"""The command line: global options, the commands, and the boundary where every error ends."""

import errno
import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from writer_cli import __version__
from writer_cli.commands.app import App, GlobalOptions
from writer_cli.commands.options import signature_of
from writer_cli.errors import OutputError, ReaderGoneError, UsageError, WriterError
from writer_cli.exits import ExitCode
from writer_cli.output.terminal import Terminal
from writer_cli.redaction import redact

COMMANDS = {
    "complete": "Complete a prompt with a language model.",
    "complete-custom": "Complete a prompt with a customization of a language model.",
    "batch": "Complete many prompts: a file of them goes in, one result for each comes out.",
    "models": "List the models that can be asked.",
    "customizations": "List the customizations of a model; only the enterprise API has any.",
    "config": "Show and change settings, and see where each comes from.",
    "sandbox": "Serve all three APIs on this machine until interrupted: no key, no cost.",
}
"""Every command, in the order of the help, and what it does; its module is imported for its use."""

MERGE = "batch merge"
"""A command of two words."""

PROGRAMS = ("writer", "writer-cli")
"""The names that the program is installed under."""

EPILOG = "Exit codes: " + "; ".join(
    f"{code.value} {code.reason.partition(':')[0].partition(' (')[0]}" for code in ExitCode
)


class _Commands(TyperGroup):
    """The commands by name; one is built when it is used, and not when it is listed."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        listed: dict[str, Any] = {
            name: TyperCommand(name, help=summary) for name, summary in COMMANDS.items()
        }
        self.commands = listed

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # `batch` takes a file, and `batch merge` is a command: a file of that name is ./merge.
        if args[:2] == MERGE.split():
            return MERGE, self._built(MERGE), args[2:]
        name, command, rest = super().resolve_command(ctx, args)
        return name, None if command is None else self._built(str(command.name)), rest

    def _built(self, name: str) -> Any:
        module = importlib.import_module(f"writer_cli.commands.{re.sub('[- ]', '_', name)}")
        app = typer.Typer(
            name=name,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=self.rich_markup_mode,
            context_settings=_CONTEXT,
        )
        module.register(app)
        command = typer.main.get_command(app)
        command.name = name
        return command


_CONTEXT = {"help_option_names": ["-h", "--help"]}


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
            from writer_cli.config.schema import flag_of

            error.message = error.message.replace(error.field, flag_of(error.field), 1)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else program
        failure = UsageError(error.format_message(), hint=f"{path} --help lists what there is")
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.READER_GONE
    except OSError as error:
        # The help, and what a shell asks for its completion, are not written by our terminal.
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        failure = OutputError(f"standard output: {error.strerror}") if is_full else _bug(error, app)
    except Exception as error:  # noqa: BLE001 - the boundary
        failure = _bug(error, app)
    finally:
        app.close()
    from writer_cli.output import error_messages

    error_messages.show_error(terminal, failure, as_json=as_json)
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
    key = app.known_key()
    if app.terminal.env.get("WRITER_DEBUG"):
        app.terminal.note(redact("".join(traceback.format_exception(error)), key))
    message = redact(f"{type(error).__name__}: {error}", key)
    return WriterError(
        f"this is a bug of ours: {message}",
        hint="WRITER_DEBUG=1 shows where; please report it with that",
    )


def program_name() -> str:
    """Return the name that the program was started under."""
    name = os.path.basename(sys.argv[0])  # noqa: PTH119 - argv may be anything
    return name if name in PROGRAMS else PROGRAMS[0]
