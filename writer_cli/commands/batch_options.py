"""The flags of `writer batch`, in the order of its help."""

from typing import Annotated

import typer

from writer_cli.batch.plan import DEFAULT_CONCURRENCY
from writer_cli.batch.records import Format
from writer_cli.batch.tables import OutputFormat
from writer_cli.commands.cache_options import CacheOptions
from writer_cli.commands.options import GenerationOptions, ModelOptions, OrganizationOptions


class _InputOptions:
    """The flags for the input."""

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
        str | None,
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
            help="The format of the input, if its suffix does not tell.",
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
            help="Send only every N-th record, beginning with record I, counted from 0; auto takes "
            "I and N from the variables of the job system.",
            metavar="I/N|auto",
            rich_help_panel="Input",
        ),
    ] = None


class _ResultOptions:
    """The flags for the output, and for the results that are in it already."""

    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="The file for the results, one line for each prompt (required); - is standard "
            "output, in the order of the input, and cannot be resumed.",
            metavar="FILE",
            rich_help_panel="Output",
        ),
    ] = None
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--output-format",
            help="The format of the results (default: the suffix of FILE, or jsonl). A csv or txt "
            "file is written at the end; until then the results are in FILE.jsonl.",
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
            help="Send the records again that failed in an earlier run.",
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
    """The flags for the speed and the budget."""

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
            help="At most this many requests a minute (default: learned from the answers).",
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
    """The flags for the model and its customization."""

    customization_id: Annotated[
        str | None,
        typer.Option(
            "--customization-id",
            help="Use this customization of the model.",
            metavar="ID",
            rich_help_panel="Model",
        ),
    ] = None


# The help shows the flags of the last class first: the input, then the output, and so on.
class BatchOptions(
    OrganizationOptions,
    CacheOptions,
    _SpeedOptions,
    GenerationOptions,
    _AskedOptions,
    _ResultOptions,
    _InputOptions,
):
    """The flags of `writer batch`."""
