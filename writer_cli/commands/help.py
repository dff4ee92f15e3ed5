"""`writer help`: the help of a command, or a topic."""

from typing import Annotated

import typer

from writer_cli.commands.app import App
from writer_cli.commands.global_options import CommonOptions
from writer_cli.commands.parsing import as_command, nearest
from writer_cli.config.schema import quoted
from writer_cli.errors import UsageError
from writer_cli.help import schemas
from writer_cli.help.page import as_text
from writer_cli.help.topics import TOPICS


class HelpOptions(CommonOptions):
    """The argument that names a topic; `LazyGroup` has handled the names of commands."""

    topic: Annotated[
        list[str] | None,
        typer.Argument(
            help="A command, or a topic.", metavar="COMMAND|TOPIC", rich_help_panel="Input"
        ),
    ] = None


def run(options: HelpOptions, app: App) -> None:
    """Print a topic, or a schema."""
    terminal = app.terminal
    match options.topic or []:
        case ["schema", name]:
            terminal.write(_schema(name))
            return
        case words:
            name = " ".join(words)
    if name not in TOPICS:
        raise _unknown(name)
    page = TOPICS[name]()
    terminal.write(as_text(page, terminal.help_width, bold=terminal.stdout_shows_color))


def _schema(name: str) -> str:
    try:
        return schemas.text(name)
    except KeyError:
        raise UsageError(
            f"there is no schema {quoted(name)}",
            hint=f"the schemas are {', '.join(schemas.titles())}",
        ) from None


def _unknown(name: str) -> UsageError:
    near = nearest(name, TOPICS)
    every = f"the topics are {', '.join(TOPICS)}, and `writer --help` lists the commands"
    return UsageError(
        f"there is no help on {quoted(name)}",
        hint=f"did you mean {near}? {every}" if near else every,
    )


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("help")(as_command(HelpOptions, run))
