"""What `writer batch` can be told, in the order of its help."""

from pathlib import Path
from typing import Annotated

import typer

from writer_cli.batch.plan import DEFAULT_CONCURRENCY
from writer_cli.batch.records import Format
from writer_cli.batch.tables import OutputFormat
from writer_cli.commands.options import GenerationOptions, ModelOptions, OrganizationOptions


class _InputOptions:
    """What is read."""

    input: Annotated[
        str,
        typer.Argument(
            help="A file of prompts: .jsonl, .csv, .tsv or .txt; - is standard input.",
            metavar="INPUT",
            show_default=False,
        ),
    ]
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            help="Make each prompt of a record's values: 'A tagline for {product}'.",
            rich_help_panel="Input",
            show_default=False,
        ),
    ] = None
    template_file: Annotated[
        Path | None,
        typer.Option(
            "--template-file",
            help="The same, from a file; - is standard input.",
            rich_help_panel="Input",
            show_default=False,
        ),
    ] = None
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How the input is written, if its name does not say it.",
            rich_help_panel="Input",
            show_default=False,
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            help="Read only the first N records.",
            metavar="N",
            rich_help_panel="Input",
            show_default=False,
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Do every N-th record, from the I-th, counted from 0; auto asks the job system.",
            metavar="I/N|auto",
            rich_help_panel="Input",
            show_default=False,
        ),
    ] = None


class _ResultOptions:
    """Where results go, and what becomes of those that are there."""

    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Where the results go, one line of JSON for each record. [required]",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None
    output_format: Annotated[
        OutputFormat,
        typer.Option(
            "--output-format",
            help="csv or txt is written at the end; meanwhile results are kept in OUTPUT.jsonl.",
            rich_help_panel="Output",
        ),
    ] = "jsonl"
    include_prompt: Annotated[
        bool,
        typer.Option(
            "--include-prompt", help="Put the prompt beside its answer.", rich_help_panel="Output"
        ),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Read everything, report what is wrong, and send nothing.",
            rich_help_panel="Output",
        ),
    ] = False
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Run again what failed before.", rich_help_panel="Output"
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Start anew, and throw away what the output holds.",
            rich_help_panel="Output",
        ),
    ] = False


class _SpeedOptions:
    """How fast, and how much."""

    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency",
            help="Requests at the same time. [1 to 256]",
            metavar="N",
            rich_help_panel="Speed",
        ),
    ] = DEFAULT_CONCURRENCY
    rpm: Annotated[
        float | None,
        typer.Option(
            "--rpm",
            help="Requests a minute, at the most; without it the limit is found out.",
            metavar="N",
            rich_help_panel="Speed",
            show_default=False,
        ),
    ] = None
    tpm: Annotated[
        float | None,
        typer.Option(
            "--tpm",
            help="Tokens a minute, at the most, estimated from the texts.",
            metavar="N",
            rich_help_panel="Speed",
            show_default=False,
        ),
    ] = None
    max_requests: Annotated[
        int | None,
        typer.Option(
            "--max-requests",
            help="A budget: stop after this many requests, retries included.",
            metavar="N",
            rich_help_panel="Speed",
            show_default=False,
        ),
    ] = None


class _AskedOptions(ModelOptions):
    """Who is asked."""

    customization_id: Annotated[
        str | None,
        typer.Option(
            "--customization-id",
            help="Ask a customization of the model.",
            rich_help_panel="Generation",
            show_default=False,
        ),
    ] = None


# The first class here is the last in the help: what is read, then what is written, and so on.
class BatchOptions(
    OrganizationOptions,
    GenerationOptions,
    _AskedOptions,
    _SpeedOptions,
    _ResultOptions,
    _InputOptions,
):
    """What `writer batch` can be told."""
