"""What each setting may be, and how its value is shown."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args

from writer_cli.apis import access
from writer_cli.apis.access import AuthScheme
from writer_cli.apis.dialect import ApiName
from writer_cli.errors import ConfigurationError, UsageError
from writer_cli.http.deadline import DEFAULT_TIMEOUT
from writer_cli.http.retry import DEFAULT_MAX_RETRIES
from writer_cli.redaction import redact

LONGEST_TIMEOUT = 1_000_000
"""Seconds that a timeout may have: more than a week, and less than a socket refuses."""

LONGEST_QUOTE = 60
"""Characters of a wrong value that a message shows."""


class SettingSpec(NamedTuple):
    """What a setting is: what it means, where it may stand, and what it may be."""

    parse: Callable[[Any], Any]
    example: str
    meaning: str
    variables: tuple[str, ...] = ()
    default: Any = None
    is_secret: bool = False


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")  # noqa: TRY004 - what every parser of a value raises
    if not value.strip():
        raise ValueError("a text: it is blank")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("UTF-8")  # Python's stand-ins for bytes of another encoding
    return value


def _whole_number(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a whole number from 0 to 2^63 - 1")
    return value


def _seconds(value: Any) -> float:
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise ValueError(f"a number of seconds over 0 up to {LONGEST_TIMEOUT}")
    return seconds


def _address(value: Any) -> str:
    # Whether plain http is allowed to a private network is decided where the address is used.
    return access.checked_base_url(_text(value), allow_http=True)


def _yes_or_no(value: Any) -> bool:
    if value not in {True, False, "true", "false"}:
        raise ValueError("true or false")
    return value in {True, "true"}


def _one_of(*values: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in values:
            raise ValueError(" or ".join(values))
        return str(value)

    return parse


SETTINGS: dict[str, SettingSpec] = {
    "api_key": SettingSpec(_text, "…", "the key", ("WRITER_API_KEY",), is_secret=True),
    "api_key_command": SettingSpec(
        _text, "pass show writer", "a command whose output is the key, run without a shell"
    ),
    "organization_id": SettingSpec(
        _whole_number,
        "123",
        "the number of the organization",
        ("WRITER_ORGANIZATION_ID", "WRITER_ORG_ID"),
    ),
    "model_id": SettingSpec(_text, "palmyra-x5", "the model to use", ("WRITER_MODEL_ID",)),
    "api": SettingSpec(
        _one_of(*get_args(ApiName)),
        "enterprise",
        "the API to use: enterprise, studio or openai",
        ("WRITER_API",),
        default="enterprise",
    ),
    "base_url": SettingSpec(
        _address,
        "https://enterprise-api.writer.com",
        "base URL to use instead of the API's own",
        ("WRITER_BASE_URL",),
    ),
    "allow_http": SettingSpec(
        _yes_or_no, "true", "allow plain http to a host of a private network", default=False
    ),
    "auth_scheme": SettingSpec(
        _one_of(*get_args(AuthScheme)),
        "bearer",
        "raw sends the bare key, without the word Bearer",
        default="bearer",
    ),
    "timeout": SettingSpec(
        _seconds,
        "30",
        "seconds to wait for the answer, or for the next part of a stream",
        ("WRITER_TIMEOUT",),
        default=DEFAULT_TIMEOUT,
    ),
    "max_retries": SettingSpec(
        _whole_number,
        "3",
        "how often to try again after a failure that may pass",
        ("WRITER_MAX_RETRIES",),
        default=DEFAULT_MAX_RETRIES,
    ),
}
"""Every setting, by the name it has in the file."""


KEY_NAMES = ("api_key", "api_key_command")
"""The two settings that a key can come from; a table of the file has one of them at the most."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it came from."""

    name: str
    value: Any = field(repr=False)
    source: str

    def shown(self) -> str:
        """The value as it may be shown: a secret only by its length."""
        if self.value is None:
            return ""
        if SETTINGS[self.name].is_secret:
            return f"[redacted, {len(self.value)} characters]"
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if isinstance(self.value, float):
            return str(self.stored())
        # A command may have a key among its words, however unwise that is.
        return redact(str(self.value), None) if self.name == "api_key_command" else str(self.value)

    def stored(self) -> Any:
        """The value as the file has it: seconds that are whole without a fraction."""
        is_whole = isinstance(self.value, float) and self.value.is_integer()
        return int(self.value) if is_whole else self.value


def flag_of(name: str) -> str:
    """Return the flag of a setting or of a request's field."""
    return "--" + name.replace("_", "-")


def check_name(name: str) -> None:
    """Raise `UsageError`, naming the nearest, where there is no such setting."""
    if name not in SETTINGS:
        # What follows a `=` may be a key.
        name, equals, _ = name.partition("=")
        hint = f"without =: writer config set {name}" if equals else nearest_to(name)
        raise UsageError(f"there is no setting {quoted(name)}", hint=hint)


def setting_from_text(name: str, text: str) -> Setting:
    """Return the setting that `text` means, for the file. Raises `UsageError`."""
    example = f"writer config set {name} {{}}"
    return Setting(name, parse_value(name, text, name, example, UsageError), "")


def parse_value(
    name: str,
    value: Any,
    source: str,
    example: str,
    error: type[UsageError | ConfigurationError],
) -> Any:
    """Return a value as the setting has it.

    Args:
        name: The setting.
        value: What was given: a text, or what TOML made of it.
        source: Where it was given, as the message names it.
        example: How a right value is given there; `{}` stands for the value.
        error: What to raise where the value cannot be right.
    """
    spec = SETTINGS[name]
    hint = None if spec.is_secret else f"for example: {example.format(spec.example)}"
    try:
        return spec.parse(value)
    except ValueError as expected:
        shown = "" if spec.is_secret else f": {quoted(value)}"
        raise error(f"{source}{shown} is not {expected}", hint=hint) from None
    except ConfigurationError as wrong:
        raise error(f"{source}: {wrong.message.partition(': ')[2]}", hint=wrong.hint) from None


def quoted(value: Any) -> str:
    """Return what was given, as a message shows it."""
    try:
        quoted = redact(repr(value), None)
    except ValueError:  # an integer of more digits than Python writes
        return "what stands there"
    return quoted if len(quoted) <= LONGEST_QUOTE else f"{quoted[:LONGEST_QUOTE]}…"


def nearest_to(name: str) -> str:
    """Return a hint at the setting that was meant, or at all of them."""
    import difflib

    near = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"the settings are {', '.join(SETTINGS)}"
