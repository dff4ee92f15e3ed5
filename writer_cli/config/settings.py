"""The value of each setting, and its source: flag > environment > profile > file > default."""

import shlex
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from writer_cli import posix_only
from writer_cli.apis import access
from writer_cli.config import file as config_file
from writer_cli.config import key_command
from writer_cli.config.schema import (
    KEY_NAMES,
    SETTINGS,
    Setting,
    flag_of,
    nearest_to,
    parse_value,
    quoted,
)
from writer_cli.errors import ConfigurationError, UsageError


class Settings:
    """All settings, in the order of precedence.

    Args:
        flags: The values on the command line, by setting name; None for a flag that was not given.
        env: The environment. An empty variable counts as not set: CI systems leave a missing
            secret empty.
        path: The configuration file; it may be missing.
        profile: The name of the `[profiles.NAME]` table to use, if any.
        key_command_timeout: Seconds for `api_key_command`.

    Raises:
        ConfigurationError: The file cannot be read, or has an unknown setting or an invalid value.
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
                    f"no profile {self.profile!r} in {path}; profiles there: {known}",
                    hint=f"create it: `writer config init --profile {shlex.quote(self.profile)}`",
                )
            where = f"profiles.{self.profile}"
            self._profile = _checked_table(profiles[self.profile], path, where)

    def get(self, name: str) -> Setting:
        """Return a setting. Raises `ConfigurationError` or `UsageError` if its value is invalid."""
        spec = SETTINGS[name]
        if self._flags.get(name) is not None:
            flag = flag_of(name)
            value = parse_value(name, self._flags[name], flag, f"{flag} {{}}", UsageError)
            return Setting(name, value, flag)
        for variable in spec.variables:
            if self._env.get(variable):
                text = self._env[variable]
                value = parse_value(name, text, variable, variable + "={}", ConfigurationError)
                return Setting(name, value, variable)
        for table, source in self._tables():
            if name in table:
                return Setting(name, table[name], source)
        return Setting(name, spec.default, "default")

    def used(self, name: str) -> Setting:
        """Return a setting as a request uses it; without a base URL that is the API's own.

        Only one of `api_key` and `api_key_command` is used. The other one has no value, and its
        source says why. Raises `ConfigurationError`.
        """
        setting = self.get(name)
        if name == "base_url" and setting.value is None:
            default = access.BASE_URLS.get(self.get("api").value)
            setting = Setting(name, default, setting.source)
        key_source = self.key_source() if name in KEY_NAMES else None
        if setting.value is None:
            return Setting(name, None, "not set")
        if key_source is not None and key_source.name != name:
            return Setting(name, None, f"not used: {key_source.name} is set in {key_source.source}")
        return setting

    def api_key(self) -> str | None:
        """Return the key from the first source that has one; runs `api_key_command` once.

        Raises `ConfigurationError` if that command fails, or if the key is invalid.
        """
        with self._key_lock:  # one thread runs the password manager, the others wait for it
            source = self.key_source()
            if self._key is None and source is not None:
                if source.name == "api_key_command":
                    location = f"the output of api_key_command in {source.source}"
                    key = key_command.output(source.value, self._key_command_timeout)
                else:
                    location = f"api_key in {source.source}"
                    key = source.value
                try:
                    access.authorization(key)
                except ConfigurationError as error:
                    raise ConfigurationError(
                        f"{location}: {error.message}", hint=error.hint
                    ) from None
                self._key = key
            return self._key

    def known_key(self) -> str | None:
        """Return the key if it is known without running a command. Raises nothing."""
        keys = [self._env.get("WRITER_API_KEY"), *(t.get("api_key") for t, _ in self._tables())]
        return self._key or next(filter(None, keys), None)

    def key_source(self) -> Setting | None:
        """Return the setting that provides the key, `api_key` or `api_key_command`, or None."""
        from_environment = self.get("api_key")
        if from_environment.source in SETTINGS["api_key"].variables:
            return from_environment
        for table, source in self._tables():
            for name in KEY_NAMES:
                if name in table:
                    return Setting(name, table[name], source)
        return None

    def warnings(self) -> list[str]:
        """Return warnings about the permissions of the file, one line each."""
        try:
            mode = self.path.stat().st_mode
        except OSError:
            return []
        fix = f"chmod 600 {shlex.quote(str(self.path))}"
        if not stat.S_ISREG(mode):
            return []
        if posix_only.others_can_write(mode):
            return [f"other users can write to {self.path} and set a command in it: {fix}"]
        if posix_only.others_can_read(mode) and self._holds_key:
            return [f"other users can read the key in {self.path}: {fix}"]
        return []

    def _tables(self) -> list[tuple[dict[str, Any], str]]:
        return [
            (self._profile, f"profile {self.profile} in {self.path}"),
            (self._file, str(self.path)),
        ]


def profile_name(flag: str | None, env: Mapping[str, str]) -> str | None:
    """Return the profile that `--profile` or WRITER_PROFILE names.

    Raises `UsageError` where no profile can have that name.
    """
    for name, source in ((flag, "--profile"), (env.get("WRITER_PROFILE"), "WRITER_PROFILE")):
        if name:
            config_file.check_profile_name(name, source)
            return name
    return None


def default_path(env: Mapping[str, str]) -> Path:
    """Return the path of the configuration file: `$WRITER_CONFIG`, or the platform's default."""
    if env.get("WRITER_CONFIG"):
        return Path(env["WRITER_CONFIG"])
    import platformdirs

    return platformdirs.user_config_path("writer-cli") / "config.toml"


def _checked_table(table: Any, path: Path, where: str) -> dict[str, Any]:
    location = f"{path}: [{where}]" if where else str(path)
    if not isinstance(table, dict):
        raise config_file.not_a_table(path, where, where)
    for name in table:
        if name not in SETTINGS:
            raise ConfigurationError(
                f"{location}: there is no setting {quoted(name)}", hint=nearest_to(name)
            )
    if "api_key" in table and "api_key_command" in table:
        raise ConfigurationError(
            f"{location} has both api_key and api_key_command", hint="keep one of them"
        )
    return {name: _parsed_entry(name, value, location) for name, value in table.items()}


def _parsed_entry(name: str, value: Any, location: str) -> Any:
    example = SETTINGS[name].example
    quote = "" if example.isdigit() or example == "true" else '"'
    return parse_value(
        name, value, f"{location}: {name}", f"{name} = {quote}{{}}{quote}", ConfigurationError
    )
