"""The flags of a command that keeps answers in a cache."""

from typing import Annotated

import typer

from writer_cli.commands.global_options import Options


class CacheFolderOptions(Options):
    """The flag for the folder of the cache."""

    cache: Annotated[
        str | None,
        typer.Option(
            "--cache",
            help="Keep answers in this folder, and use those that are there (default none).",
            metavar="DIR",
            rich_help_panel="Cache",
        ),
    ] = None


class CacheOptions(CacheFolderOptions):
    """The flags for the use of the cache."""

    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            help="Ask again, and replace the answer in the cache.",
            rich_help_panel="Cache",
        ),
    ] = False
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Send nothing: an answer that is not in the cache is an error.",
            rich_help_panel="Cache",
        ),
    ] = False
    cache_salt: Annotated[
        str | None,
        typer.Option(
            "--cache-salt",
            help="Get another answer to the same request, and keep it under this text.",
            metavar="TEXT",
            rich_help_panel="Cache",
        ),
    ] = None
