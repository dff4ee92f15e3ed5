"""`writer batch merge`: merge the outputs of shards into one file."""

from pathlib import Path
from typing import Annotated

import typer

from writer_cli.batch import merging
from writer_cli.commands.app import App
from writer_cli.commands.global_options import CommonOptions
from writer_cli.commands.parsing import as_command
from writer_cli.output import documents


class MergeOptions(CommonOptions):
    """The file to write, and the outputs to merge."""

    output: Annotated[
        Path,
        typer.Argument(help="The file to write.", metavar="OUTPUT", rich_help_panel="Input"),
    ]
    shards: Annotated[
        list[Path],
        typer.Argument(
            help="The results of all shards, in any order.",
            metavar="SHARD",
            rich_help_panel="Input",
        ),
    ]
    records: Annotated[
        int | None,
        typer.Option(
            "--records",
            help="How many records there must be. Without it, records that are missing at the end "
            "of the input are not noticed.",
            rich_help_panel="Input",
        ),
    ] = None


def run(options: MergeOptions, app: App) -> None:
    """Merge the outputs, and print how many records were answered and failed."""
    answered, failed = merging.merge(options.output, options.shards, options.records)
    if options.json:
        documents.write_json(
            app.terminal, output=str(options.output), answered=answered, failed=failed
        )
    elif not options.quiet:
        app.terminal.note(f"{answered} answered, {failed} failed, in {options.output}")


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("merge")(as_command(MergeOptions, run))
