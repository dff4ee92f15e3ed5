"""Settings: flag > environment > profile > file > default; each value knows where it came from."""

import difflib
import math
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from writer_cli.apis import HOW_TO_SET_A_KEY, ApiName, AuthScheme
from writer_cli.errors import ConfigurationError, UsageError
from writer_cli.retry import DEFAULT_MAX_RETRIES

LARGEST_FILE = 1024 * 1024
"""Bytes of a configuration file."""

KEY_COMMAND_TIMEOUT = 60.0
"""Seconds that `api_key_command` has; a person may have to unlock a password manager."""

LONGEST_WAIT = 1_000_000
"""Seconds that a timeout may have: more than a week, and less than a socket refuses."""

PROFILE_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a setting is: where it may stand, and what it may be."""

    parse: Callable[[Any], Any]
    variables: tuple[str, ...] = ()
    default: Any = None
    is_secret: bool = False


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value


def _whole_number(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a whole number")
    return value


def _seconds(value: Any) -> float:
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds <= LONGEST_WAIT:
        raise ValueError(f"a number of seconds over 0 up to {LONGEST_WAIT}")
    return seconds


def _one_of(*values: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in values:
            raise ValueError(" or ".join(values))
        return str(value)

    return parse


KINDS: dict[str, Kind] = {
    "api_key": Kind(_text, ("WRITER_API_KEY",), is_secret=True),
    "api_key_command": Kind(_text),
    "organization_id": Kind(_whole_number, ("WRITER_ORGANIZATION_ID", "WRITER_ORG_ID")),
    "model_id": Kind(_text, ("WRITER_MODEL_ID",)),
    "api": Kind(_one_of(*get_args(ApiName)), ("WRITER_API",), default="enterprise"),
    "base_url": Kind(_text, ("WRITER_BASE_URL",)),
    "auth_scheme": Kind(_one_of(*get_args(AuthScheme)), default="bearer"),
    "timeout": Kind(_seconds, ("WRITER_TIMEOUT",), default=180.0),
    "max_retries": Kind(_whole_number, ("WRITER_MAX_RETRIES",), default=DEFAULT_MAX_RETRIES),
}
"""Every setting, by the name it has in the file."""


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
        return f"{self.value:g}" if isinstance(self.value, float) else str(self.value)


class Settings:
    """What is set, in the order of precedence.

    Args:
        flags: What the command line says, by setting name; None where it says nothing.
        env: The environment. A variable that is empty is not set, as CI systems leave a secret
            that is missing.
        path: The configuration file, which need not exist.
        profile: The name of the `[profiles.NAME]` table to use, if any.

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
    ) -> None:
        self.path = path
        self.profile = profile or env.get("WRITER_PROFILE") or None
        self._flags = flags
        self._env = env
        document = _read_file(path)
        profiles = document.pop("profiles", {})
        self._file = _checked_table(document, path, "")
        if not isinstance(profiles, dict):
            raise ConfigurationError(
                f"{path}: profiles: not a table", hint="write it as [profiles.NAME]"
            )
        self.profiles = list(profiles)
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
            return Setting(
                name, _parsed(name, self._flags[name], flag_of(name), UsageError), flag_of(name)
            )
        for variable in kind.variables:
            if self._env.get(variable):
                value = _parsed(name, self._env[variable], variable, ConfigurationError)
                return Setting(name, value, variable)
        for table, source in self._tables():
            if name in table:
                return Setting(name, table[name], source)
        return Setting(name, kind.default, "default")

    def api_key(self) -> str | None:
        """Return the key, from wherever it is set first; `api_key_command` is run for it, once.

        Raises `ConfigurationError` where that command fails.
        """
        return self._key

    @cached_property
    def _key(self) -> str | None:
        source = self.key_source()
        if source is None:
            return None
        return _output_of(source.value) if source.name == "api_key_command" else str(source.value)

    def key_source(self) -> Setting | None:
        """Return the setting, `api_key` or `api_key_command`, that the key comes from, if any."""
        from_environment = self.get("api_key")
        if from_environment.source in KINDS["api_key"].variables:
            return from_environment
        for table, source in self._tables():
            for name in ("api_key", "api_key_command"):
                if name in table:
                    return Setting(name, table[name], source)
        return None

    def warnings(self) -> list[str]:
        """What is unwise about the file, in one line each."""
        try:
            mode = self.path.stat().st_mode & 0o777
        except OSError:
            return []
        if mode & 0o077 == 0:
            return []
        return [f"{self.path} can be read by others (mode {mode:03o}): chmod 600 {self.path}"]

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
        raise UsageError(f"there is no setting {name!r}", hint=_nearest(name))


def parsed_text(name: str, text: str) -> Any:
    """Return the value that `text` means for a setting. Raises `UsageError`."""
    return _parsed(name, text, name, UsageError)


def _parsed(
    name: str, value: Any, source: str, error: type[UsageError | ConfigurationError]
) -> Any:
    try:
        return KINDS[name].parse(value)
    except ValueError as expected:
        shown = "" if KINDS[name].is_secret else f" {value!r}"
        raise error(f"{source}:{shown} is not {expected}", hint=f"{name} is {expected}") from None


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"the settings are {', '.join(KINDS)}"


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"{path}: {reason}", hint="WRITER_CONFIG can name another file"
        ) from error
    if len(raw) > LARGEST_FILE:
        raise ConfigurationError(
            f"{path} is larger than 1 MiB", hint="WRITER_CONFIG can name another file"
        )
    try:
        return tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        # A message of the TOML parser names line and column and quotes nothing but one character.
        raise ConfigurationError(
            f"{path}: {error}", hint="it is TOML: lines such as organization_id = 123"
        ) from None


def _checked_table(table: Any, path: Path, where: str) -> dict[str, Any]:
    place = f"{path}: [{where}]" if where else str(path)
    if not isinstance(table, dict):
        raise ConfigurationError(f"{place} is not a table", hint=f"write it as [{where}]")
    for name in table:
        if name not in KINDS:
            raise ConfigurationError(f"{place}: there is no setting {name!r}", hint=_nearest(name))
    if "api_key" in table and "api_key_command" in table:
        raise ConfigurationError(
            f"{place} has both api_key and api_key_command", hint="keep one of them"
        )
    return {
        name: _parsed(name, value, f"{place}: {name}", ConfigurationError)
        for name, value in table.items()
    }


def _output_of(command: str) -> str:
    """Run `api_key_command` without a shell and return what it prints."""
    try:
        done = subprocess.run(  # noqa: S603 - running it is the point
            shlex.split(command),
            stdin=subprocess.DEVNULL,  # the prompt may be waiting there
            stdout=subprocess.PIPE,
            timeout=KEY_COMMAND_TIMEOUT,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        reason = f"ended with exit code {error.returncode}"
    except subprocess.TimeoutExpired:
        reason = f"gave no answer within {KEY_COMMAND_TIMEOUT:g} s"
    except (OSError, ValueError) as error:
        reason = str(error)
    else:
        return os.fsdecode(done.stdout).removesuffix("\n")
    raise ConfigurationError(
        f"api_key_command: {command!r} {reason}",
        hint=f"run it by hand and see; else {HOW_TO_SET_A_KEY}",
    ) from None
