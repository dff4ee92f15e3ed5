"""What `writer batch` can be told, in the order of its help."""

from pathlib import Path
from typing import Annotated

import typer

from writer_cli.batch.plan import DEFAULT_CONCURRENCY
from writer_cli.batch.records import Format
from writer_cli.batch.tables import OutputFormat
from writer_cli.commands.cache_options import CacheOptions
from writer_cli.commands.options import GenerationOptions, ModelOptions, OrganizationOptions


class _InputOptions:
    """What is read."""

    input: Annotated[
        str,
        typer.Argument(
            help="The file of prompts: .jsonl, .csv, .tsv or .txt; - is standard input.",
            metavar="INPUT",
            rich_help_panel="Input",
        ),
    ]
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            help="Make each prompt from the values of a record: 'A tagline for {product}:'.",
            metavar="TEXT",
            rich_help_panel="Input",
        ),
    ] = None
    template_file: Annotated[
        Path | None,
        typer.Option(
            "--template-file",
            help="Read the template from this file; - is standard input.",
            metavar="FILE",
            rich_help_panel="Input",
        ),
    ] = None
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="The format of the input, if its name does not end in it.",
            rich_help_panel="Input",
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", help="Read only the first N records (0 or more).", rich_help_panel="Input"
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Do only every N-th record, beginning with record I, counted from 0; auto takes "
            "both numbers from the job system.",
            metavar="I/N|auto",
            rich_help_panel="Input",
        ),
    ] = None


class _ResultOptions:
    """Where results go, and what becomes of those that are there."""

    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The file for the results, one line for each prompt; - is standard output, in the "
            "order of the input, and such a run cannot be resumed (required).",
            metavar="FILE",
            rich_help_panel="Output",
        ),
    ] = None
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--output-format",
            help="The format of the results (default: what the name of FILE ends in, else jsonl). "
            "csv and txt files are written at the end, and until then the results are in "
            "FILE.jsonl.",
            rich_help_panel="Output",
        ),
    ] = None
    include_prompt: Annotated[
        bool,
        typer.Option(
            "--include-prompt", help="Put each prompt beside its result.", rich_help_panel="Output"
        ),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check the whole input, report what is wrong, and send nothing.",
            rich_help_panel="Output",
        ),
    ] = False
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Try the records again that failed before.",
            rich_help_panel="Output",
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Delete the results that are in FILE, and begin again.",
            rich_help_panel="Output",
        ),
    ] = False


class _SpeedOptions:
    """How fast, and how much."""

    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency",
            help=f"Requests at the same time (1 to 256; default {DEFAULT_CONCURRENCY}).",
            rich_help_panel="Speed",
        ),
    ] = DEFAULT_CONCURRENCY
    rpm: Annotated[
        float | None,
        typer.Option(
            "--rpm",
            help="At most this many requests a minute (default: found out while running).",
            rich_help_panel="Speed",
        ),
    ] = None
    tpm: Annotated[
        float | None,
        typer.Option(
            "--tpm",
            help="At most this many tokens a minute, estimated from the texts.",
            rich_help_panel="Speed",
        ),
    ] = None
    max_requests: Annotated[
        int | None,
        typer.Option(
            "--max-requests",
            help="Stop after this many requests, retries included (0 or more).",
            rich_help_panel="Speed",
        ),
    ] = None


class _AskedOptions(ModelOptions):
    """Who is asked."""

    customization_id: Annotated[
        str | None,
        typer.Option(
            "--customization-id",
            help="Use this customization of the model.",
            metavar="ID",
            rich_help_panel="Model",
        ),
    ] = None


# The first class here is the last in the help: what is read, then what is written, and so on.
class BatchOptions(
    OrganizationOptions,
    CacheOptions,
    _SpeedOptions,
    GenerationOptions,
    _AskedOptions,
    _ResultOptions,
    _InputOptions,
):
    """What `writer batch` can be told."""
