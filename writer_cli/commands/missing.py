"""The error for settings that a request lacks: all of them at once, with the commands to copy."""

import shlex
from collections.abc import Sequence

from writer_cli.config.schema import SETTINGS
from writer_cli.errors import ConfigurationError, UsageError

NAMES = {
    "base_url": "no base URL",
    "api_key": "no API key",
    "organization_id": "no organization",
    "model_id": "no model",
}
"""How the message says that a setting is missing."""

EXAMPLES = {
    "base_url": " http://127.0.0.1:8000",
    "api_key": "",
    "organization_id": " NUMBER",
    "model_id": " palmyra-x5",
}
"""What follows the name of a setting in the command that sets it."""


def missing_settings(
    missing: Sequence[str], profile: str | None
) -> ConfigurationError | UsageError:
    """Return the error for what is missing.

    A model is an argument of a command, so where nothing else is missing the usage is wrong.
    """
    flag = f" --profile {shlex.quote(profile)}" if profile else ""
    if list(missing) == ["model_id"]:
        return UsageError(
            "no model: name one with -m",
            hint="add -m palmyra-x5, or choose a default with "
            f"`writer config set{flag} model_id palmyra-x5`, or with WRITER_MODEL_ID",
        )
    names = [NAMES[name] for name in missing]
    message = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    commands = ", ".join(f"`writer config set{flag} {n}{EXAMPLES[n]}`" for n in missing)
    variables = ", ".join(SETTINGS[name].variables[0] for name in missing)
    hint = (
        f"set up what is missing with `writer config init{flag}`, or one by one with {commands}; "
        f"in a script set {variables}; to try it without, add --sandbox"
    )
    return ConfigurationError(message, hint=hint)
