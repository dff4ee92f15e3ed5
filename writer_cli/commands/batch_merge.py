"""`writer batch merge`: the outputs of shards become one."""

from pathlib import Path
from typing import Annotated

import typer

from writer_cli.batch import merging
from writer_cli.commands.app import App, GlobalOptions
from writer_cli.commands.options import as_command
from writer_cli.output import documents


class MergeOptions(GlobalOptions):
    """Which files become which."""

    output: Annotated[
        Path, typer.Argument(help="The file to write.", metavar="OUTPUT", show_default=False)
    ]
    shards: Annotated[
        list[Path],
        typer.Argument(
            help="The outputs of all shards, in any order.", metavar="SHARD...", show_default=False
        ),
    ]
    records: Annotated[
        int | None,
        typer.Option(
            "--records",
            help="How many there must be in all; without it, what every shard lacks at its end "
            "is not noticed.",
            metavar="N",
            show_default=False,
        ),
    ] = None


def run(options: MergeOptions, app: App) -> None:
    """Put the finished outputs of shards into one file, in the order of the input.

    writer batch merge all.jsonl part-*.jsonl

    A record that is missing, or that two of them have, is an error, and nothing is written.
    """
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
