"""What a command gets to work with: terminal, settings and client, each made when first used."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from writer_cli import settings
from writer_cli.apis import ApiName
from writer_cli.errors import ConfigurationError, UsageError
from writer_cli.settings import Settings
from writer_cli.terminal import Terminal

if TYPE_CHECKING:
    from writer_cli.client import Writer


@dataclass(frozen=True, kw_only=True)
class GlobalOptions:
    """The flags that every command has, and that may stand before the command's name too."""

    api: Annotated[
        ApiName | None,
        typer.Option(
            "--api",
            help="Which of Writer's APIs to speak; enterprise if nothing says otherwise.",
            rich_help_panel="Connection",
            show_default=False,
        ),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            help="Use the [profiles.NAME] table of the configuration file.",
            metavar="NAME",
            rich_help_panel="Connection",
            show_default=False,
        ),
    ] = None
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            help="Another address than the API's own.",
            metavar="URL",
            rich_help_panel="Connection",
            show_default=False,
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            help="Wait this long for an answer, up to 5 s of it for the connection; 180 if "
            "nothing says otherwise.",
            metavar="SECONDS",
            rich_help_panel="Connection",
            show_default=False,
        ),
    ] = None
    sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox",
            help="Answer with the embedded model: no key, no network, no cost.",
            rich_help_panel="Connection",
        ),
    ] = False
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the result as one JSON object; errors too, on standard error.",
            rich_help_panel="Output",
        ),
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "-q", "--quiet", help="No warnings, no notes, no spinner.", rich_help_panel="Output"
        ),
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            help="Say on standard error what was sent and how long it took.",
            rich_help_panel="Output",
        ),
    ] = False


@dataclass
class App:
    """One run of the program."""

    terminal: Terminal
    given_before: dict[str, Any] = field(default_factory=dict)
    """The global options that stood before the command's name."""

    options: GlobalOptions = field(default_factory=GlobalOptions)
    """The options of the command, the global ones among them."""

    @property
    def uses_sandbox(self) -> bool:
        """Whether `--sandbox` or `$WRITER_SANDBOX` asks for the embedded model."""
        value = self.terminal.env.get("WRITER_SANDBOX", "")
        if value.lower() in {"1", "true", "yes", "on"}:
            return True
        if value.lower() in {"", "0", "false", "no", "off"}:
            return self.options.sandbox
        raise ConfigurationError(
            f"WRITER_SANDBOX: {value!r} is neither yes nor no", hint="WRITER_SANDBOX=1 or unset it"
        )

    @cached_property
    def settings(self) -> Settings:
        """What is set. Raises `ConfigurationError`."""
        loaded = Settings(
            flags=vars(self.options),
            env=self.terminal.env,
            path=settings.default_path(self.terminal.env),
            profile=self.options.profile,
        )
        for warning in loaded.warnings():
            self.warn(warning)
        return loaded

    @cached_property
    def writer(self) -> "Writer":
        """The client. Raises `ConfigurationError`; the key is looked up, and not yet checked."""
        from writer_cli.client import Writer

        timeout = self.settings.get("timeout").value
        api = self.settings.get("api").value
        organization_id = self.settings.get("organization_id").value
        if self.uses_sandbox:
            return Writer(None, organization_id, api=api, timeout=timeout, sandbox=True)
        return Writer(
            self.settings.api_key,
            organization_id,
            api=api,
            base_url=self.settings.get("base_url").value,
            auth_scheme=self.settings.get("auth_scheme").value,
            timeout=timeout,
        )

    def model_id(self) -> str:
        """Return the model to ask. Raises `UsageError` where none is named."""
        named: str | None = self.settings.get("model_id").value
        if named is None and self.uses_sandbox:
            from writer_cli.client import SANDBOX_MODEL

            return SANDBOX_MODEL
        if named is None:
            raise UsageError(
                "no model: name one with -m",
                hint="-m palmyra-x5, or WRITER_MODEL_ID=palmyra-x5, "
                "or writer config set model_id palmyra-x5",
            )
        return named

    def warn(self, text: str) -> None:
        """Say on standard error what is unusual, unless `--quiet` asks not to."""
        self.say(f"warning: {text}")

    def say(self, text: str) -> None:
        """Say on standard error what was done, unless `--quiet` asks not to."""
        if not self.options.quiet:
            self.terminal.note(text)

    def report(self, text: str) -> None:
        """Say on standard error what `--verbose` asks to know."""
        if self.options.verbose:
            self.terminal.note(text)
