"""The command line: it parses the arguments, runs a command, and handles all errors."""

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any, cast

import typer

from writer_cli import __version__
from writer_cli.commands.app import App
from writer_cli.commands.global_options import GlobalOptions
from writer_cli.commands.parsing import signature_of
from writer_cli.commands.typer_classes import CommandApp, LazyGroup, page_of
from writer_cli.errors import ReaderGoneError, UsageError, WriterError
from writer_cli.exits import ExitCode
from writer_cli.help.commands import COMMANDS
from writer_cli.help.page import Page
from writer_cli.output.terminal import Terminal
from writer_cli.redaction import redact

PROGRAMS = ("writer", "writer-cli")
"""The names that the program is installed under."""

TAB = "__complete"
"""The command that a shell gives to learn what fits; see `commands.completion`."""

WELCOME = """\
Complete text with language models.

Try it without a key:
  writer complete --sandbox "Once upon a time"
Set up your key:
  writer config init
Use a model of Writer:
  writer complete "Once upon a time"
Help: writer --help"""
"""What `writer` alone says, before the error. Only the first command is longer than 40 columns."""


class _RootOptions(GlobalOptions):
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False


def _root(ctx: typer.Context, **given: Any) -> None:
    app: App = ctx.obj
    if given.pop("version"):
        app.terminal.write(f"writer {__version__}\n")
        raise typer.Exit
    app.given_before = given
    if ctx.invoked_subcommand is None:
        if given["json"]:
            raise UsageError("no command", hint="see all commands with `writer --help`")
        app.terminal.note(WELCOME)
        raise UsageError("no command")


_root.__signature__ = signature_of(_RootOptions)  # type: ignore[attr-defined]


@cache
def command_line() -> LazyGroup:
    """Return the whole command line, which a process builds once."""
    app = CommandApp(cls=LazyGroup, callback=_root, invoke_without_command=True)
    group: Any = typer.main.get_command(app)
    return cast("LazyGroup", group)


def pages() -> Iterator[Page]:
    """Yield the help page of the whole program, and that of every command."""
    root = command_line()
    program: Any = root.make_context(PROGRAMS[0], [], resilient_parsing=True)
    yield page_of(program)
    for name in COMMANDS:
        command = root.find(name)
        yield page_of(command.make_context(name, [], parent=program, resilient_parsing=True))


def main(arguments: Sequence[str], terminal: Terminal, *, program: str = PROGRAMS[0]) -> int:
    """Run the program, and return its exit code. All exceptions are handled here."""
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
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last handler
        failure = _bug(error, app)
    finally:
        app.close()
    from writer_cli.output import annotations, error_messages

    annotated = annotations.are_wanted(terminal.env, flag=_is_given("annotate", arguments, app))
    error_messages.show_error(
        terminal, failure, as_json=_is_given("json", arguments, app), annotated=annotated
    )
    return failure.exit_code


def _is_given(name: str, arguments: Sequence[str], app: App) -> bool:
    """Whether a flag was given; if the command line cannot be parsed, whether it is there."""
    if parsed := vars(app.options):
        return bool(parsed.get(name))
    return f"--{name}" in arguments[: arguments.index("--") if "--" in arguments else None]


def _run(arguments: Sequence[str], app: App, program: str) -> int:
    command: Any = command_line()
    if arguments and arguments[0] == TAB:
        from writer_cli.commands import tab

        app.terminal.write(tab.answer(command, arguments[1:], app.terminal.env))
        return ExitCode.OK
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
        f"this is a bug in writer: {message}",
        hint="WRITER_DEBUG=1 shows where; please report it with that",
    )


def program_name() -> str:
    """Return the name under which the program was started."""
    name = os.path.basename(sys.argv[0])  # noqa: PTH119 - argv may be anything
    return name if name in PROGRAMS else PROGRAMS[0]
