"""`writer batch`: many prompts go in, exactly one result for each comes out."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO
from urllib.parse import urlsplit

import typer

from writer_cli import atomic, prompts, render
from writer_cli.app import App
from writer_cli.batch.job import Job, Plan
from writer_cli.batch.journal import Journal
from writer_cli.batch.records import Template, form_of
from writer_cli.batch.runner import DEFAULT_CONCURRENCY, request_for
from writer_cli.batch.shards import shard_of
from writer_cli.batch.summary import Summary
from writer_cli.batch.tables import OutputFormat, rows
from writer_cli.errors import PartialError, UsageError, WriterError
from writer_cli.exits import FIRST_SIGNAL_CODE
from writer_cli.options import (
    GenerationOptions,
    ModelOptions,
    OrganizationOptions,
    as_command,
)
from writer_cli.settings import flag_of


@dataclass(frozen=True, kw_only=True)
class BatchOptions(GenerationOptions, OrganizationOptions, ModelOptions):
    """What `writer batch` can be told."""

    input: Annotated[
        str,
        typer.Argument(
            help="A file of prompts: .jsonl, .csv, .tsv or .txt; - is standard input.",
            show_default=False,
        ),
    ]
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
    customization_id: Annotated[
        str | None,
        typer.Option(
            "--customization-id",
            help="Ask a customization of the model.",
            rich_help_panel="Generation",
            show_default=False,
        ),
    ] = None
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="How the input is written, if its name does not say it: jsonl, csv, tsv or txt.",
            rich_help_panel="Input",
            show_default=False,
        ),
    ] = None
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            help="Make each prompt of a record's variables: 'A tagline for {product}'.",
            rich_help_panel="Input",
            show_default=False,
        ),
    ] = None
    template_file: Annotated[
        Path | None,
        typer.Option(
            "--template-file",
            help="The same, from a file.",
            rich_help_panel="Input",
            show_default=False,
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            help="Read only this many records.",
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
    output_format: Annotated[
        OutputFormat,
        typer.Option(
            "--output-format",
            help="csv or txt: the results are kept as JSON lines beside the output meanwhile.",
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


def run(options: BatchOptions, app: App) -> None:
    """Complete many prompts; what was answered is never asked again.

    writer batch prompts.jsonl -m palmyra-x5 -o answers.jsonl

    The same command again goes on where it was stopped, in whatever way.
    """
    plan = _plan(options, app)
    if options.dry_run:
        _check_all(options, plan, app)
        return
    if options.output is None:
        raise UsageError("no output: name a file with -o", hint="-o answers.jsonl")
    app.check_key()
    path = options.output
    if options.output_format != "jsonl":
        path = path.with_name(f"{path.name}.jsonl")
    with Journal(path, overwrite=options.overwrite) as journal:
        if options.retry_failed:
            journal.forget_failures()
        _complete(options, plan, journal, app)


def _complete(options: BatchOptions, plan: Plan, journal: Journal, app: App) -> None:
    """Do what is left, and say what was done, however it ended."""
    began = time.monotonic()
    job = Job(
        plan,
        journal,
        open_input=lambda: _opened(options.input, app),
        can_reopen=options.input != prompts.STDIN,
        make_writer=app.new_writer,
    )
    failure: WriterError | None = None
    progress = render.BatchProgress(app.terminal, quiet=options.quiet)
    try:
        with progress:
            job.run(progress.show)
    except UsageError:
        raise
    except WriterError as error:
        failure = error
    if failure is None and job.stopped_by is None and options.output_format != "jsonl":
        assert options.output is not None  # noqa: S101 - `run` looked
        with atomic.replacement(options.output) as table:
            table.writelines(rows(journal, options.output_format))
    _report(options, journal, job.summary, app, time.monotonic() - began)
    if failure is not None:
        raise failure
    if job.stopped_by is not None:
        raise SystemExit(FIRST_SIGNAL_CODE + job.stopped_by)
    if journal.failed:
        raise PartialError(
            f"{journal.failed} of {journal.failed + journal.answered} records failed",
            hint="the same command with --retry-failed runs them again",
        )


def _plan(options: BatchOptions, app: App) -> Plan:
    """Check everything that can be checked before the first record is read."""
    _check_numbers(options)
    if options.template is not None and options.template_file is not None:
        raise UsageError("--template and --template-file exclude each other", hint="leave one out")
    template = options.template
    if options.template_file is not None:
        template = prompts.read((), [options.template_file], None)
    model_id = app.model_id()
    # A field that the API does not carry, or a value that cannot be right, is seen here.
    request = options.request("?")
    for name, advice in request.advice().items():
        app.warn(f"{flag_of(name)}: {advice}")
    app.warn_if_retired(model_id)
    prepared = app.writer.completions.prepare(
        completion_request=request,
        model_id=model_id,
        customization_id=options.customization_id,
    )
    # The host and the user agent may change between two runs; the path and the body may not.
    path = urlsplit(prepared.url).path
    return Plan(
        form=form_of(options.input, options.format),
        template=None if template is None else Template(template),
        shard=shard_of(options.shard, app.terminal.env),
        limit=options.limit,
        model_id=model_id,
        customization_id=options.customization_id,
        defaults=options.fields(),
        identity=json.dumps([path, prepared.body], sort_keys=True),
        concurrency=options.concurrency,
        rpm=options.rpm,
        tpm=options.tpm,
        max_requests=options.max_requests,
        include_prompt=options.include_prompt,
    )


def _check_numbers(options: BatchOptions) -> None:
    for flag, value, least, most in (
        ("--concurrency", options.concurrency, 1, 256),
        ("--limit", options.limit, 0, math.inf),
        ("--rpm", options.rpm, 1e-3, 1e9),
        ("--tpm", options.tpm, 1e-3, 1e12),
        ("--max-requests", options.max_requests, 0, math.inf),
    ):
        if value is not None and not least <= value <= most:
            allowed = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
            raise UsageError(
                f"{flag} {value:g} is out of range: {allowed}",
                hint="--help lists every flag with its range",
            )


def _check_all(options: BatchOptions, plan: Plan, app: App) -> None:
    """Read everything, and say what is wrong with which record. Sends nothing."""
    count = bad = 0
    first: str | None = None
    with _opened(options.input, app) as stream:
        for record in plan.selected(plan.reader(stream)):
            count += 1
            try:
                app.writer.completions.prepare(
                    completion_request=request_for(record, plan.defaults),
                    model_id=plan.model_id,
                    customization_id=plan.customization_id,
                )
            except UsageError as error:
                bad += 1
                where = "" if error.message.startswith("line ") else f"line {record.line}: "
                app.terminal.note(f"{where}{error.message}")
                continue
            first = record.prompt if first is None else first
    result = {
        "version": render.JSON_VERSION,
        "records": count,
        "bad": bad,
        "first_prompt": first,
    }
    app.terminal.write(render.dry_batch(app.terminal, result, as_json=options.json))
    if bad:
        raise UsageError(
            f"{bad} of {count} records cannot be sent",
            hint="correct them; without --dry-run each gets an error in the output",
        )


@contextmanager
def _opened(name: str, app: App) -> Iterator[BinaryIO]:
    if name == prompts.STDIN:
        if app.terminal.stdin is None:
            raise UsageError("standard input is closed", hint="pipe the records into it")
        yield app.terminal.stdin
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{name}: {reason}", hint="name a file of prompts") from error
    with stream:
        yield stream


def _report(
    options: BatchOptions, journal: Journal, summary: Summary, app: App, seconds: float
) -> None:
    """Say what was done: to a script as JSON, to a person in lines."""
    result = {
        "version": render.JSON_VERSION,
        "output": str(options.output),
        "answered": journal.answered,
        "failed": journal.failed,
        "elapsed_s": round(seconds, 3),
        "this_run": summary.as_dict(),
    }
    if options.json:
        app.terminal.write(render.document(app.terminal, result))
    elif not options.quiet:
        for line in render.batch_summary(result, summary, is_drawn=app.terminal.stderr_is_terminal):
            app.terminal.note(line)


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("batch")(as_command(BatchOptions, run))
