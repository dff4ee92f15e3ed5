"""Settings: flag > environment > profile > file > default; each value knows where it came from."""

import math
import re
import shlex
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from writer_cli import apis, config_file, key_command
from writer_cli.apis import ApiName, AuthScheme
from writer_cli.errors import ConfigurationError, UsageError, redact
from writer_cli.retry import DEFAULT_MAX_RETRIES

LONGEST_WAIT = 1_000_000
"""Seconds that a timeout may have: more than a week, and less than a socket refuses."""

LONGEST_QUOTE = 60
"""Characters of a wrong value that a message shows."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a setting is: where it may stand, and what it may be."""

    parse: Callable[[Any], Any]
    example: str
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
    if not 0 < seconds <= LONGEST_WAIT:
        raise ValueError(f"a number of seconds over 0 up to {LONGEST_WAIT}")
    return seconds


def _address(value: Any) -> str:
    return apis.checked_base_url(_text(value))


def _one_of(*values: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in values:
            raise ValueError(" or ".join(values))
        return str(value)

    return parse


KINDS: dict[str, Kind] = {
    "api_key": Kind(_text, "…", ("WRITER_API_KEY",), is_secret=True),
    "api_key_command": Kind(_text, "pass show writer"),
    "organization_id": Kind(_whole_number, "123", ("WRITER_ORGANIZATION_ID", "WRITER_ORG_ID")),
    "model_id": Kind(_text, "palmyra-x5", ("WRITER_MODEL_ID",)),
    "api": Kind(_one_of(*get_args(ApiName)), "enterprise", ("WRITER_API",), default="enterprise"),
    "base_url": Kind(_address, "https://enterprise-api.writer.com", ("WRITER_BASE_URL",)),
    "auth_scheme": Kind(_one_of(*get_args(AuthScheme)), "bearer", default="bearer"),
    "timeout": Kind(_seconds, "30", ("WRITER_TIMEOUT",), default=180.0),
    "max_retries": Kind(_whole_number, "3", ("WRITER_MAX_RETRIES",), default=DEFAULT_MAX_RETRIES),
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
        if KINDS[self.name].is_secret:
            return f"[redacted, {len(self.value)} characters]"
        if isinstance(self.value, float):
            return str(self.stored())
        # A command may have a key among its words, however unwise that is.
        return redact(str(self.value), None) if self.name == "api_key_command" else str(self.value)

    def stored(self) -> Any:
        """The value as the file has it: seconds that are whole without a fraction."""
        is_whole = isinstance(self.value, float) and self.value.is_integer()
        return int(self.value) if is_whole else self.value


class Settings:
    """What is set, in the order of precedence.

    Args:
        flags: What the command line says, by setting name; None where it says nothing.
        env: The environment. A variable that is empty is not set, as CI systems leave a secret
            that is missing.
        path: The configuration file, which need not exist.
        profile: The name of the `[profiles.NAME]` table to use, if any.
        key_command_timeout: Seconds that `api_key_command` has.

    Raises:
        ConfigurationError: The file cannot be read, or says something that is not a setting.
    """

    def __init__(
        self,
        *,
        flags: Mapping[str, Any],
        env: Mapping[str, str],
        path: Path,
        profile: str | None = None,
        key_command_timeout: float = key_command.TIMEOUT,
    ) -> None:
        self.path = path
        self.profile = profile or env.get("WRITER_PROFILE") or None
        self._flags = flags
        self._env = env
        self._key_command_timeout = key_command_timeout
        self._key_lock = threading.Lock()
        self._key: str | None = None
        document = config_file.table(path)
        profiles = document.pop("profiles", {})
        self._file = _checked_table(document, path, "")
        if not isinstance(profiles, dict):
            raise config_file.not_a_table(path, "profiles", "profiles.NAME")
        self.profiles = list(profiles)
        tables = [self._file, *(table for table in profiles.values() if isinstance(table, dict))]
        self._holds_key = any("api_key" in table for table in tables)
        self._profile: dict[str, Any] = {}
        if self.profile is not None:
            if self.profile not in profiles:
                known = ", ".join(self.profiles) or "none"
                raise ConfigurationError(
                    f"no profile {self.profile!r} in {path}; there: {known}",
                    hint=f"writer config set --profile {shlex.quote(self.profile)} "
                    "organization_id 123 makes it",
                )
            where = f"profiles.{self.profile}"
            self._profile = _checked_table(profiles[self.profile], path, where)

    def get(self, name: str) -> Setting:
        """Return a setting. Raises `ConfigurationError` where its value cannot be right."""
        kind = KINDS[name]
        if self._flags.get(name) is not None:
            flag = flag_of(name)
            value = _parsed(name, self._flags[name], flag, f"{flag} {{}}", UsageError)
            return Setting(name, value, flag)
        for variable in kind.variables:
            if self._env.get(variable):
                text = self._env[variable]
                value = _parsed(name, text, variable, variable + "={}", ConfigurationError)
                return Setting(name, value, variable)
        for table, source in self._tables():
            if name in table:
                return Setting(name, table[name], source)
        return Setting(name, kind.default, "default")

    def used(self, name: str) -> Setting:
        """Return a setting as a request uses it: of `api_key` and `api_key_command` only one is.

        The other has no value, and the source says why. Raises `ConfigurationError`.
        """
        setting = self.get(name)
        key_source = self.key_source() if name in KEY_NAMES else None
        if setting.value is None:
            return Setting(name, None, "not set")
        if key_source is not None and key_source.name != name:
            return Setting(name, None, f"not used: {key_source.name} is set in {key_source.source}")
        return setting

    def api_key(self) -> str | None:
        """Return the key, from wherever it is set first; `api_key_command` is run for it, once.

        Raises `ConfigurationError` where that command fails, or where it or any other source gives
        what cannot be a key.
        """
        with self._key_lock:  # a password manager asks a person once, however many threads wait
            source = self.key_source()
            if self._key is None and source is not None:
                if source.name == "api_key_command":
                    place = f"the output of api_key_command in {source.source}"
                    key = key_command.output(source.value, self._key_command_timeout)
                else:
                    place = f"api_key in {source.source}"
                    key = source.value
                try:
                    apis.authorization(key)
                except ConfigurationError as error:
                    raise ConfigurationError(f"{place}: {error.message}", hint=error.hint) from None
                self._key = key
            return self._key

    def known_key(self) -> str | None:
        """Return the key as far as it is known without running a command. Raises nothing."""
        places = [self._env.get("WRITER_API_KEY"), *(t.get("api_key") for t, _ in self._tables())]
        return self._key or next(filter(None, places), None)

    def key_source(self) -> Setting | None:
        """Return the setting, `api_key` or `api_key_command`, that the key comes from, if any."""
        from_environment = self.get("api_key")
        if from_environment.source in KINDS["api_key"].variables:
            return from_environment
        for table, source in self._tables():
            for name in KEY_NAMES:
                if name in table:
                    return Setting(name, table[name], source)
        return None

    def warnings(self) -> list[str]:
        """What is unwise about the file, in one line each."""
        try:
            mode = self.path.stat().st_mode
        except OSError:
            return []
        fix = f"chmod 600 {shlex.quote(str(self.path))}"
        if not stat.S_ISREG(mode):
            return []
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            return [f"others can write to {self.path}, and name a command in it: {fix}"]
        if mode & (stat.S_IRGRP | stat.S_IROTH) and self._holds_key:
            return [f"others can read the key in {self.path}: {fix}"]
        return []

    def _tables(self) -> list[tuple[dict[str, Any], str]]:
        return [
            (self._profile, f"profile {self.profile} in {self.path}"),
            (self._file, str(self.path)),
        ]


def default_path(env: Mapping[str, str]) -> Path:
    """Return where the configuration file is: `$WRITER_CONFIG`, or the place of the platform."""
    if env.get("WRITER_CONFIG"):
        return Path(env["WRITER_CONFIG"])
    import platformdirs

    return platformdirs.user_config_path("writer-cli") / "config.toml"


def flag_of(name: str) -> str:
    """Return the flag of a setting or of a request's field."""
    return "--" + name.replace("_", "-")


def check_name(name: str) -> None:
    """Raise `UsageError`, naming the nearest, where there is no such setting."""
    if name not in KINDS:
        # What follows a `=` may be a key.
        name, equals, _ = name.partition("=")
        hint = f"without =: writer config set {name}" if equals else _nearest(name)
        raise UsageError(f"there is no setting {_quoted(name)}", hint=hint)


def parsed_text(name: str, text: str) -> Setting:
    """Return the setting that `text` means, for the file. Raises `UsageError`."""
    form = f"writer config set {name} {{}}"
    return Setting(name, _parsed(name, text, name, form, UsageError), "")


def _parsed(
    name: str,
    value: Any,
    place: str,
    form: str,
    error: type[UsageError | ConfigurationError],
) -> Any:
    kind = KINDS[name]
    hint = None if kind.is_secret else f"for example: {form.format(kind.example)}"
    try:
        return kind.parse(value)
    except ValueError as expected:
        shown = "" if kind.is_secret else f": {_quoted(value)}"
        raise error(f"{place}{shown} is not {expected}", hint=hint) from None
    except ConfigurationError as wrong:
        raise error(f"{place}: {wrong.message.partition(': ')[2]}", hint=wrong.hint) from None


def _quoted(value: Any) -> str:
    try:
        quoted = redact(repr(value), None)
    except ValueError:  # an integer of more digits than Python writes
        return "what stands there"
    return quoted if len(quoted) <= LONGEST_QUOTE else f"{quoted[:LONGEST_QUOTE]}…"


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"the settings are {', '.join(KINDS)}"


def _checked_table(table: Any, path: Path, where: str) -> dict[str, Any]:
    place = f"{path}: [{where}]" if where else str(path)
    if not isinstance(table, dict):
        raise config_file.not_a_table(path, where, where)
    for name in table:
        if name not in KINDS:
            raise ConfigurationError(
                f"{place}: there is no setting {_quoted(name)}", hint=_nearest(name)
            )
    if "api_key" in table and "api_key_command" in table:
        raise ConfigurationError(
            f"{place} has both api_key and api_key_command", hint="keep one of them"
        )
    return {name: _parsed_entry(name, value, place) for name, value in table.items()}


def _parsed_entry(name: str, value: Any, place: str) -> Any:
    quote = "" if KINDS[name].example.isdigit() else '"'
    return _parsed(
        name, value, f"{place}: {name}", f"{name} = {quote}{{}}{quote}", ConfigurationError
    )
