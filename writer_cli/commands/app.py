"""The context of one command: its terminal, settings and client, created on first use."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from writer_cli.commands.global_options import GlobalOptions
from writer_cli.commands.missing import missing_settings
from writer_cli.config.schema import is_on
from writer_cli.errors import UsageError
from writer_cli.output.terminal import Terminal

if TYPE_CHECKING:
    from writer_cli.apis.dialect import Api
    from writer_cli.cache.folder import Cache, CacheEvent
    from writer_cli.client import Writer
    from writer_cli.config.settings import Settings
    from writer_cli.http.retry import Wait
    from writer_cli.output.spinner import Spinner


class App:
    """The context of one command.

    Attributes:
        terminal: The standard streams.
        given_before: The global options before the name of the command.
        options: The global options, as the command has them.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.given_before: dict[str, Any] = {}
        self.options = GlobalOptions()
        self._spinner: Spinner | None = None
        self._answer_warnings: set[str] = set()
        self._checks_at_a_miss = False

    @property
    def uses_sandbox(self) -> bool:
        """Whether `--sandbox` or `$WRITER_SANDBOX` turns the sandbox on."""
        return is_on(self.terminal.env, "WRITER_SANDBOX") or self.options.sandbox

    @property
    def is_offline(self) -> bool:
        """Whether `--offline` or `$WRITER_OFFLINE` forbids to send anything."""
        return is_on(self.terminal.env, "WRITER_OFFLINE") or getattr(self.options, "offline", False)

    @cached_property
    def cache(self) -> "Cache | None":
        """The folder that answers are kept in, if one is named. Raises `UsageError`."""
        directory = self.settings.get("cache").value
        refresh = getattr(self.options, "refresh", False)
        salt = getattr(self.options, "cache_salt", None)
        if directory is None:
            for flag, given in (
                ("--offline", self.is_offline),
                ("--refresh", refresh),
                ("--cache-salt", salt is not None),
            ):
                if given:
                    raise UsageError(
                        f"{flag} needs a cache", hint="name a folder: --cache DIR, or WRITER_CACHE"
                    )
            return None
        from writer_cli.cache.folder import Cache

        return Cache(
            directory,
            refresh=refresh,
            offline=self.is_offline,
            salt=salt,
            on_event=self._show_cache_event,
        )

    def _show_cache_event(self, event: "CacheEvent") -> None:
        (self.warn if event.is_warning else self.report)(str(event))
        if event.kind == "miss" and self._checks_at_a_miss:
            self.check_settings()

    @cached_property
    def settings(self) -> "Settings":
        """The settings. Raises `ConfigurationError`."""
        from writer_cli.config.settings import Settings, default_path

        loaded = Settings(
            flags=vars(self.options),
            env=self.terminal.env,
            path=default_path(self.terminal.env),
            profile=self.options.profile,
        )
        for warning in loaded.warnings():
            self.warn(warning)
        return loaded

    @cached_property
    def writer(self) -> "Writer":
        """The client of this command, see `new_writer`."""
        return self.new_writer()

    def new_writer(self) -> "Writer":
        """Create a client from the settings; it reads the key later."""
        from writer_cli.client import Writer
        from writer_cli.config.schema import LONGEST_TIMEOUT

        deadline, most = self.options.deadline, LONGEST_TIMEOUT
        if deadline is not None and not 0 < deadline <= most:
            raise UsageError(
                f"--deadline {deadline:g} is out of range: over 0, up to {most}",
                hint="--deadline 60 gives up after a minute",
            )
        return Writer(
            self.settings.api_key if self.settings.key_source() else None,
            self.settings.get("organization_id").value,
            api=self.settings.get("api").value,
            base_url=None if self.uses_sandbox else self.settings.get("base_url").value,
            auth_scheme=self.settings.get("auth_scheme").value,
            allow_http=self.settings.get("allow_http").value,
            timeout=self.settings.get("timeout").value,
            max_retries=self.settings.get("max_retries").value,
            deadline=deadline,
            on_wait=self._show_wait,
            on_warning=self._answer_warnings.add,
            sandbox=self.uses_sandbox,
            cache=self.cache,
        )

    def close(self) -> None:
        """Close the connections, and warn about parts of answers that could not be read.

        The warnings come at the end, because a bar may be drawn while answers arrive, and because
        a batch shows each of them once.
        """
        for text in sorted(self._answer_warnings):
            self.warn(text)
        if "writer" in vars(self):
            self.writer.close()

    def _show_wait(self, wait: "Wait") -> None:
        if self._spinner is not None and self.terminal.stderr_can_draw and not self.options.verbose:
            self._spinner.update(str(wait))
            return
        # The spinner must not be drawn while the line is written.
        had_spinner = self._spinner is not None
        self.stop_spinner()
        self.report(str(wait))
        if had_spinner:
            self.start_spinner(str(wait))

    def start_spinner(self, text: str) -> None:
        """Show a spinner with a text, unless `--quiet` is set."""
        if not self.options.quiet:
            from writer_cli.output.spinner import Spinner

            self._spinner = Spinner(self.terminal, text, counts_seconds=True)

    def stop_spinner(self) -> None:
        """Remove the spinner, if there is one."""
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def check_key(self) -> None:
        """Raise `ConfigurationError` if the key is invalid, or required and missing."""
        if self.is_offline:
            return
        self.writer.connection.check_key()

    def known_key(self) -> str | None:
        """Return the key if it is known, to redact it. Runs no command."""
        loaded = vars(self).get("settings")
        return self.terminal.env.get("WRITER_API_KEY") if loaded is None else loaded.known_key()

    def check_settings(
        self, *, for_sending: bool = True, model: bool = True, may_be_cached: bool = False
    ) -> None:
        """Raise one error that names everything that a request lacks.

        Args:
            for_sending: Whether the request is to be sent, which takes a key.
            model: Whether it names a model.
            may_be_cached: Whether the cache may have the answer. Then the key and the organization
                are checked only when it turns out that the request has to be sent.

        Raises:
            ConfigurationError: There is no key, organization or base URL where one is needed.
            UsageError: Only the model is missing.
        """
        if self.uses_sandbox:
            return
        api = self._api
        has_server = not self.is_offline
        self._checks_at_a_miss = may_be_cached and self.cache is not None
        asks = has_server and not self._checks_at_a_miss
        wanted = {
            "base_url": has_server and api.base_url is None,
            "api_key": asks and for_sending and api.needs_key,
            "organization_id": asks and api.needs_organization,
            "model_id": model,
        }
        missing = [name for name, is_wanted in wanted.items() if is_wanted and not self._has(name)]
        # A base URL alone is left to the error that lists the usual ones.
        if missing and missing != ["base_url"]:
            raise missing_settings(missing, self.options.profile, api)

    @property
    def _api(self) -> "Api":
        from writer_cli import apis

        return apis.get(self.settings.get("api").value)

    def _has(self, name: str) -> bool:
        if name == "api_key":
            return self.settings.key_source() is not None
        return self.settings.get(name).value is not None

    def model_id(self) -> str:
        """Return the id of the model. Raises `UsageError` if no source has one."""
        named: str | None = self.settings.get("model_id").value
        if named is None and self.uses_sandbox:
            from writer_cli import sandbox

            return sandbox.MODEL
        if named is None:
            raise missing_settings(["model_id"], self.options.profile, self._api)
        return named

    def warn_if_retired(self, model_id: str) -> None:
        """Show a warning if Writer has removed the model."""
        retirement = self.writer.api.retired_models.get(model_id)
        if retirement is not None:
            self.warn(
                f"{model_id} was removed on {retirement.day}; "
                f"Writer recommends {retirement.successor} instead"
            )

    def warn(self, text: str) -> None:
        """Write a warning to standard error, unless `--quiet` is set."""
        from writer_cli.output import annotations

        if annotations.are_wanted(self.terminal.env, flag=self.options.annotate):
            self.say(annotations.annotation("warning", "writer: warning", text))
        else:
            self.say(f"warning: {text}")

    def say(self, text: str, command: str = "") -> None:
        """Say on standard error what was done, unless `--quiet` asks not to.

        A command line that follows has a line of its own on a terminal, so that it can be copied.
        """
        if self.options.quiet:
            return
        if self.terminal.stderr_is_terminal:
            self.note(text)
            if command:
                self.terminal.note(f"  {command}")
        else:
            self.terminal.note(f"{text} {command}".rstrip())

    def report(self, text: str) -> None:
        """Write a detail to standard error, if `--verbose` is set."""
        if self.options.verbose:
            self.note(text)

    def note(self, text: str) -> None:
        """Write a line to standard error; on a terminal it is wrapped at words."""
        if self.terminal.stderr_is_terminal:
            from writer_cli.output.words import indented, wrapped

            width = self.terminal.error_width
            first, *rest = wrapped(text, width - 2)
            text = "\n".join([first, *(indented(line, 2, width) for line in rest)])
        self.terminal.note(text)
