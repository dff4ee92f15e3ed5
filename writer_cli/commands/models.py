"""`writer models`: list the models."""

import typer

from writer_cli.commands.app import App
from writer_cli.commands.options import OrganizationOptions
from writer_cli.commands.parsing import as_command
from writer_cli.config import model_cache
from writer_cli.output import documents


def run(options: OrganizationOptions, app: App) -> None:
    """List the models that can be asked."""
    app.check_settings(model=False)
    app.start_spinner("waiting for the list of models")
    try:
        models = app.writer.models.list()
    finally:
        app.stop_spinner()
    if not app.uses_sandbox:
        path = model_cache.path_for(app.settings.get("api").value)
        model_cache.remember(path, [model.id for model in models])
    if options.json:
        documents.write_json(app.terminal, models=[model.model_dump() for model in models])
        return
    rows = [(model.id, model.name, model.type or "") for model in models]
    app.terminal.write(documents.table(app.terminal, ("id", "name", "type"), rows))


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("models")(as_command(OrganizationOptions, run))
