"""The flags that choose how a text is shown on a terminal."""

from typing import Annotated

import typer

from writer_cli.commands.global_options import Options
from writer_cli.output.reading import Reading


class ReadingOptions(Options):
    """How a text is shown on a terminal."""

    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Print control characters unchanged, even on a terminal.",
            rich_help_panel="Output",
        ),
    ] = False
    no_wrap: Annotated[
        bool,
        typer.Option(
            "--no-wrap",
            help="Do not break lines at words on a terminal. A pipe or file never gets breaks.",
            rich_help_panel="Output",
        ),
    ] = False
    markdown: Annotated[
        bool,
        typer.Option(
            "--markdown",
            help="Draw headings, lists, tables and code on a terminal. A pipe or file gets the "
            "text as it came.",
            rich_help_panel="Output",
        ),
    ] = False

    def reading(self) -> Reading:
        """Return how texts are to be shown."""
        return Reading(wrap=not self.no_wrap, markdown=self.markdown, raw=self.raw)
