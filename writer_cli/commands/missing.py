"""The error for settings that a request lacks: all of them at once, with the commands to copy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from writer_cli.config.schema import SETTINGS
from writer_cli.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from writer_cli.apis.dialect import Api

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
    "model_id": " ID",
}
"""What follows the name of a setting in the command that sets it."""


KEYS_URL = "https://app.writer.com/aistudio"
"""Where Writer gives a key of AI Studio."""


def example_model(api: "Api") -> str | None:
    """Return a model that the API has; None for a server of the user's own."""
    return "palmyra-x5" if api.base_url else None


def profile_flag(profile: str | None) -> str:
    """Return ` --profile NAME` for a command in a message; "" without a profile."""
    import shlex

    return f" --profile {shlex.quote(profile)}" if profile else ""


def missing_settings(
    missing: Sequence[str], profile: str | None, api: "Api"
) -> ConfigurationError | UsageError:
    """Return the error for what is missing.

    A model is an argument of a command, so where nothing else is missing the usage is wrong.
    """
    flag = profile_flag(profile)
    model = example_model(api)
    if list(missing) == ["model_id"]:
        listed = "" if model else f"; `writer models{flag}` lists the models of the server"
        return UsageError(
            "no model: name one with -m",
            hint=f"add -m {model or 'ID'}, or choose a default with "
            f"`writer config set{flag} model_id {model or 'ID'}`, or with WRITER_MODEL_ID{listed}",
        )
    examples = EXAMPLES | ({"model_id": f" {model}"} if model else {})
    names = [NAMES[name] for name in missing]
    message = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    commands = ", ".join(f"`writer config set{flag} {n}{examples[n]}`" for n in missing)
    needs_organization = "organization_id" in missing
    studio = "with a key of AI Studio, add --api studio; " if needs_organization else ""
    variables = ", ".join(SETTINGS[name].variables[0] for name in missing)
    hint = (
        f"set up what is missing with `writer config init{flag}`, or one by one with {commands}; "
        f"in a script set {variables}; {studio}to try it without, add --sandbox"
    )
    return ConfigurationError(message, hint=hint)
