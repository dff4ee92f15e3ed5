"""`writer customizations`: list the customizations of a model."""

import typer

from writer_cli.commands.app import App
from writer_cli.commands.options import ModelOptions, OrganizationOptions
from writer_cli.commands.parsing import as_command
from writer_cli.output import documents


class CustomizationsOptions(ModelOptions, OrganizationOptions):
    """The flags for the model and the organization."""


def run(options: CustomizationsOptions, app: App) -> None:
    """List the customizations of a model; only the enterprise API has any."""
    app.check_settings()
    model_id = app.model_id()
    app.start_spinner("waiting for the list of customizations")
    try:
        customizations = app.writer.customizations.list(model_id=model_id)
    finally:
        app.stop_spinner()
    if options.json:
        listed = [one.model_dump() for one in customizations]
        documents.write_json(app.terminal, model_id=model_id, customizations=listed)
        return
    rows = [(one.id, one.name, one.status or "") for one in customizations]
    app.terminal.write(documents.table(app.terminal, ("id", "name", "status"), rows))


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("customizations")(as_command(CustomizationsOptions, run))
