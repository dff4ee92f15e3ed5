"""`writer complete-custom`: the same with a customization of a model."""

from typing import Annotated

import typer

from writer_cli.commands.app import App
from writer_cli.commands.complete import CompleteOptions, complete
from writer_cli.commands.parsing import as_command
from writer_cli.errors import UsageError


class CompleteCustomOptions(CompleteOptions):
    """The flags of `writer complete-custom`."""

    customization_id: Annotated[
        str | None,
        typer.Option(
            "--customization-id",
            help="The customization of the model (required).",
            metavar="ID",
            rich_help_panel="Model",
        ),
    ] = None


def run(options: CompleteCustomOptions, app: App) -> None:
    """Complete a prompt with a customized model."""
    if options.customization_id is None:
        raise UsageError(
            "no customization: name one with --customization-id",
            hint="for a model that is not customized: `writer complete`",
        )
    complete(options, app, customization_id=options.customization_id)


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("complete-custom")(as_command(CompleteCustomOptions, run))
