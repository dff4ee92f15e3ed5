"""Save settings in the configuration file, as `config set` and `config init` do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from writer_cli.commands.app import App
from writer_cli.config import file as config_file
from writer_cli.config.schema import KEY_NAMES, SETTINGS


def save(values: Mapping[str, Any], path: Path, profile: str | None, app: App) -> None:
    """Save settings, and warn of each one that this removes, and of variables that come first.

    A key replaces the command that prints a key, and the other way round. Raises
    `ConfigurationError` if the file cannot be read or written.
    """
    saves_key = any(name in values for name in KEY_NAMES)
    others = [name for name in KEY_NAMES if saves_key and name not in values]
    for name in config_file.set_values(path, values, profile=profile, without=others):
        app.warn(f"{name} was removed: only one of the two settings is allowed")
    for name in values:
        for variable in SETTINGS[name].variables:
            if app.terminal.env.get(variable):
                app.warn(f"{variable} is set too, and comes before the file: unset {variable}")


def place_as_json(path: Path, profile: str | None) -> dict[str, str | None]:
    """Return the file, and the profile in it, as the JSON of a command has them."""
    return {"path": str(path), "profile": profile}
