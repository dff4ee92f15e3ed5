"""The list of all settings: their types, defaults and variables, and how a value is shown."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf, isinf
from typing import Any, NamedTuple, get_args

from writer_cli.apis import access
from writer_cli.apis.access import ApiName, AuthScheme
from writer_cli.errors import ConfigurationError, UsageError
from writer_cli.http import DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT
from writer_cli.redaction import redact

LONGEST_TIMEOUT = 1_000_000
"""Seconds of a timeout at most: more than a week, and less than a socket refuses."""

_DECIMAL = r"[+-]?(?:[0-9]{1,300}(?:\.[0-9]{0,300})?|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?"

LONGEST_QUOTE = 60
"""Characters of an invalid value that a message shows."""


class SettingSpec(NamedTuple):
    """One setting: its parser, an example, its meaning, its environment variables and default.

    `parse` raises `ValueError` with a description of the values that are allowed.
    """

    parse: Callable[[Any], Any]
    example: str
    meaning: str
    variables: tuple[str, ...] = ()
    default: Any = None
    is_secret: bool = False


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")  # noqa: TRY004 - every parser raises ValueError
    if not value.strip():
        raise ValueError("a string with at least one visible character")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("UTF-8")  # surrogates: Python's replacement for bytes that are not UTF-8
    return value


def _whole_number(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a whole number from 0 to 2^63 - 1")
    return value


def decimal_number(text: str) -> float:
    """Return the number that a text means, such as `30`, `0.5`, `-1` or `1e-05`.

    Python's `float` also reads `1_0`, `inf`, `nan` and the digits of all scripts, which nobody
    means to type. Raises `ValueError` for them, for what is too large for a `float`, and for
    whatever else is no number.
    """
    number = float(text) if re.fullmatch(_DECIMAL, text) else inf
    if isinf(number):
        raise ValueError("a number")
    return number


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        with suppress(ValueError):
            value = decimal_number(value)
    if type(value) not in {int, float} or not 0 < value <= LONGEST_TIMEOUT:
        raise ValueError(f"a number of seconds above 0, up to {LONGEST_TIMEOUT}")
    return float(value)


def _base_url(value: Any) -> str:
    # The client decides whether plain http to a private network is allowed.
    return access.checked_base_url(_text(value), allow_http=True)


def _yes_or_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value not in {"true", "false"}:
        raise ValueError("true or false")
    return value == "true"


def _one_of(*values: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in values:
            raise ValueError(f"one of {', '.join(values)}")
        return str(value)

    parse.words = values  # type: ignore[attr-defined] # for whoever lists them
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
        _base_url,
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
    "cache": SettingSpec(
        _text, ".writer-cache", "the folder to keep answers in", ("WRITER_CACHE",)
    ),
    "timeout": SettingSpec(
        _seconds,
        "30",
        "seconds from the request to the answer, or from one event of a stream to the next",
        ("WRITER_TIMEOUT",),
        default=DEFAULT_TIMEOUT,
    ),
    "max_retries": SettingSpec(
        _whole_number,
        "3",
        "how often to try again after a temporary failure",
        ("WRITER_MAX_RETRIES",),
        default=DEFAULT_MAX_RETRIES,
    ),
}
"""All settings, by their name in the file."""


KEY_NAMES = ("api_key", "api_key_command")
"""The two settings for a key; each table of the file may have only one of them."""


class Setting(NamedTuple):
    """The value of a setting, and where it comes from."""

    name: str
    value: Any
    source: str

    def __repr__(self) -> str:
        """Return the setting without its value, which may be a key."""
        return f"Setting(name={self.name!r}, source={self.source!r})"

    def shown(self) -> str:
        """Return the value as text; of a secret only its length."""
        if self.value is None:
            return ""
        if SETTINGS[self.name].is_secret:
            length = len(self.value)
            return f"[redacted, {length} {'character' if length == 1 else 'characters'}]"
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if isinstance(self.value, float):
            return str(self.stored())
        # A user may have put a key into the command.
        return redact(str(self.value), None) if self.name == "api_key_command" else str(self.value)

    def stored(self) -> Any:
        """Return the value as the file has it: whole seconds as an integer."""
        is_whole = isinstance(self.value, float) and self.value.is_integer()
        return int(self.value) if is_whole else self.value


def flag_of(name: str) -> str:
    """Return the flag of a setting or of a field of a request."""
    return "--" + name.replace("_", "-")


def is_on(env: Mapping[str, str], variable: str) -> bool:
    """Whether a variable of yes or no says yes. Raises `ConfigurationError` if it says neither."""
    value = env.get(variable, "")
    if value.lower() in {"1", "true", "yes", "on"}:
        return True
    if value.lower() in {"", "0", "false", "no", "off"}:
        return False
    raise ConfigurationError(
        f"{variable}: {value!r} is neither yes nor no", hint=f"{variable}=1 or unset it"
    )


def check_name(name: str) -> None:
    """Raise `UsageError`, with the most similar name, if there is no such setting."""
    if name not in SETTINGS:
        # The text after `=` may be a key.
        name, equals, _ = name.partition("=")
        hint = f"leave out the =: `writer config set {name}`" if equals else nearest_to(name)
        raise UsageError(f"there is no setting {quoted(name)}", hint=hint)


def setting_from_text(name: str, text: str) -> Setting:
    """Parse the value of a setting for the file. Raises `UsageError`."""
    import shlex

    example = f"`writer config set {name} {shlex.quote(SETTINGS[name].example)}`"
    return Setting(name, parse_value(name, text, name, example, UsageError), "")


def parse_value(
    name: str,
    value: Any,
    source: str,
    example: str,
    error: type[UsageError | ConfigurationError],
) -> Any:
    """Parse and check a value.

    Args:
        name: The name of the setting.
        value: The value: a string, or a value parsed from TOML.
        source: Where the value comes from, for the message.
        example: A valid input there, for the hint; `{}` stands for the value.
        error: The exception to raise for an invalid value.
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
    """Return a value as a message shows it: shortened, and not at all if it may be a key."""
    with_digit_and_letter = r"(?![/.~])(?=.*[0-9])(?=.*[^\W\d_])[\w.~+/=-]{16,}"
    if isinstance(value, str) and re.fullmatch(with_digit_and_letter, value):
        return "[redacted]"  # a key may stand in the place of another value
    try:
        quoted = redact(repr(value), None)
    except ValueError:  # an integer of more digits than Python writes
        return "this number"
    return quoted if len(quoted) <= LONGEST_QUOTE else f"{quoted[:LONGEST_QUOTE]}…"


def nearest_to(name: str) -> str:
    """Return a hint with the most similar setting, or with all of them."""
    import difflib

    near = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"the settings are {', '.join(SETTINGS)}"
