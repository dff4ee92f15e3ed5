"""The flags that many commands share. They may stand before the command's name too."""

from typing import Annotated, Any

import typer

from writer_cli.apis.access import ApiName
from writer_cli.http import DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT


class Options:
    """The values of the flags, as attributes; typer reads how each is declared.

    These classes are not dataclasses, which compile their methods at every start: 5 ms.
    """

    def __init__(self, **given: Any) -> None:
        vars(self).update(given)


class CommonOptions(Options):
    """The flags of every command."""

    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object; errors too, on standard error.",
            rich_help_panel="Output",
        ),
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "-q",
            "--quiet",
            help="Print no warnings, notes or progress.",
            rich_help_panel="Output",
        ),
    ] = False
    annotate: Annotated[
        bool,
        typer.Option(
            "--annotate",
            help="In GitHub Actions, show errors and warnings as annotations.",
            rich_help_panel="Output",
        ),
    ] = False


class ProfileOptions(CommonOptions):
    """The flags of a command that reads the configuration file."""

    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            help="Use this profile of the configuration file.",
            metavar="NAME",
            rich_help_panel="Settings",
        ),
    ] = None


class TargetOptions(ProfileOptions):
    """The flags that choose the server."""

    sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox",
            help="Use the embedded model: no key, no network, no cost.",
            rich_help_panel="Connection",
        ),
    ] = False
    api: Annotated[
        ApiName | None,
        typer.Option(
            "--api",
            help="The API to use (default enterprise).",
            rich_help_panel="Connection",
        ),
    ] = None
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            help="Base URL to use instead of the API's own.",
            metavar="URL",
            rich_help_panel="Connection",
        ),
    ] = None


class GlobalOptions(TargetOptions):
    """The flags of a command that sends requests."""

    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            help="Seconds from the request to the answer, or from one event of a stream to the "
            f"next (over 0; default {DEFAULT_TIMEOUT:g}).",
            metavar="SECONDS",
            rich_help_panel="Connection",
        ),
    ] = None
    max_retries: Annotated[
        int | None,
        typer.Option(
            "--max-retries",
            help="How often to try again after a temporary failure "
            f"(0 or more; default {DEFAULT_MAX_RETRIES}).",
            rich_help_panel="Connection",
        ),
    ] = None
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            help="Seconds from the first request to the answer, retries and waits included "
            "(over 0; default no limit).",
            metavar="SECONDS",
            rich_help_panel="Connection",
        ),
    ] = None
    verbose: Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            help="Report on standard error what is sent, how long it takes, and each retry.",
            rich_help_panel="Output",
        ),
    ] = False
