"""`writer batch`: complete many prompts, with exactly one result for each."""

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import typer

from writer_cli.batch.job import Input, Job
from writer_cli.batch.journal import Journal
from writer_cli.batch.ordered import OrderedOutput
from writer_cli.batch.plan import Plan
from writer_cli.batch.records import Template, detected_format
from writer_cli.batch.shards import shard_of
from writer_cli.batch.worker import request_for
from writer_cli.commands import prompts
from writer_cli.commands.app import App
from writer_cli.commands.batch_destination import Destination, is_stdout
from writer_cli.commands.batch_options import BatchOptions
from writer_cli.commands.options import out_of_range
from writer_cli.commands.parsing import as_command
from writer_cli.config.schema import flag_of
from writer_cli.errors import PartialError, ReaderGoneError, UsageError, WriterError
from writer_cli.exits import FIRST_SIGNAL_CODE
from writer_cli.output import batch as batch_output
from writer_cli.output import documents
from writer_cli.output.progress import ProgressLine


def run(options: BatchOptions, app: App) -> None:
    """Complete the records without a result, or with `--dry-run` only check the input."""
    _check_numbers(options)
    source = _input(options, app)
    plan, identity = _plan(options, app)
    if options.dry_run:
        _check_all(options, plan, source, app)
        return
    destination = Destination(options)
    app.check_key()
    with destination.opened(app) as journal:
        began = time.monotonic()
        job = Job(
            plan,
            source,
            journal,
            identity=identity,
            include_prompt=options.include_prompt,
            make_writer=app.new_writer,
        )
        stopped_by = _work(job, options, app)
        destination.finish(journal, is_whole=stopped_by is None)
        summary = job.summary
        result = {
            "version": documents.JSON_VERSION,
            "output": str(destination.path if stopped_by is None else destination.journal_path),
            "answered": journal.answered,
            "failed": journal.failed,
            "elapsed_s": round(time.monotonic() - began, 3),
            "this_run": summary.as_dict(),
        }
        batch_output.summary(
            app.terminal,
            result,
            summary,
            journal=destination.journal_path,
            as_json=options.json,
            quiet=options.quiet,
        )
        if isinstance(stopped_by, WriterError):
            raise stopped_by
        if stopped_by is not None:
            app.say(destination.interruption)
            raise SystemExit(FIRST_SIGNAL_CODE + stopped_by)
        _end(options, destination, journal, app)


def _work(job: Job, options: BatchOptions, app: App) -> WriterError | int | None:
    """Run the job, and return the error or the signal that stopped it."""
    # No progress on a terminal that shows the results themselves.
    is_quiet = options.quiet or (is_stdout(options.output) and app.terminal.stdout_is_terminal)
    try:
        with ProgressLine(app.terminal, quiet=is_quiet) as progress:
            job.run(progress.show)
    except (UsageError, ReaderGoneError):
        raise
    except WriterError as error:
        return error
    return job.stopped_by


def _end(
    options: BatchOptions,
    destination: Destination,
    journal: Journal | OrderedOutput,
    app: App,
) -> None:
    """Finish a complete batch. Raises `PartialError` if some records failed."""
    count = journal.answered + journal.failed
    if journal.failed:
        raise PartialError(
            f"{journal.failed} of {batch_output.counted(count, 'record')} failed",
            hint=f"{destination.how_to_retry}; --dry-run lists those that cannot be sent",
        )
    if count == 0:
        part = "" if options.shard is None else f" for --shard {options.shard}"
        app.warn(f"{options.input} has no records{part}")


def _input(options: BatchOptions, app: App) -> Input:
    """Return the input. Raises `UsageError` before the first record is read."""
    return Input(
        open=lambda: _opened(options.input, app),
        # Path raises for a name that is too long.
        can_reopen=options.input != prompts.STDIN and os.path.isfile(options.input),  # noqa: PTH113
        template=_template(options, app),
        format=detected_format(options.input, options.format),
        shard=shard_of(options.shard, app.terminal.env),
        limit=options.limit,
    )


def _plan(options: BatchOptions, app: App) -> tuple[Plan, str]:
    """Return the plan, and the settings that all requests share as a string.

    Raises `UsageError` if the flags are not valid for any record.
    """
    app.check_settings(for_sending=not options.dry_run)
    model_id = app.model_id()
    # Raises for an invalid value, and `prepare` for a field that the API does not have.
    request = options.request("?")
    for name, advice in request.advice().items():
        app.warn(f"{flag_of(name)}: {advice}")
    app.warn_if_retired(model_id)
    prepared = app.writer.completions.prepare(
        completion_request=request,
        model_id=model_id,
        customization_id=options.customization_id,
    )
    # Between two runs, the host and the user agent may change; the path and the body may not.
    identity = json.dumps([urlsplit(prepared.url).path, prepared.body], sort_keys=True)
    plan = Plan(
        model_id=model_id,
        customization_id=options.customization_id,
        defaults=options.fields(),
        concurrency=options.concurrency,
        rpm=options.rpm,
        tpm=options.tpm,
        max_requests=options.max_requests,
    )
    return plan, identity


def _template(options: BatchOptions, app: App) -> Template | None:
    if options.template is not None and options.template_file is not None:
        raise UsageError("--template and --template-file exclude each other", hint="leave one out")
    if options.template is not None:
        return Template(options.template)
    if options.template_file is None:
        return None
    if prompts.STDIN == options.input == options.template_file:
        raise UsageError("- (standard input) is given twice", hint="use `-` once")
    hint = "name a text file with variables: {name}"
    try:
        text = prompts.read_source(options.template_file, app.terminal.stdin)
        template = Template(text) if text else None
    except UsageError as error:
        reason = error.message.removeprefix("--file ").removeprefix("--template: ")
        raise UsageError(f"--template-file: {reason}", hint=hint) from error
    if template is None:
        raise UsageError("--template-file: the file is empty", hint=hint)
    return template


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
            raise out_of_range(flag, value, allowed)


def _check_all(options: BatchOptions, plan: Plan, source: Input, app: App) -> None:
    """Read all records, and report the invalid ones. Sends nothing."""
    count = bad = 0
    first: str | None = None
    problems: list[dict[str, Any]] = []
    with source.open() as stream:
        for record in source.selected(source.reader(stream)):
            count += 1
            try:
                app.writer.completions.prepare(
                    completion_request=request_for(record, plan.defaults),
                    model_id=plan.model_id,
                    customization_id=plan.customization_id,
                )
            except UsageError as error:
                bad += 1
                where = f"line {record.line}: "
                message = error.message.removeprefix(where)
                if not options.json:
                    app.terminal.note(f"{where}{message}")
                elif len(problems) < batch_output.MOST_PROBLEMS:
                    problems.append({"line": record.line, "id": record.id, "message": message})
                continue
            first = record.prompt if first is None else first
    result = {
        "version": documents.JSON_VERSION,
        "records": count,
        "bad": bad,
        "first_prompt": first,
        "problems": problems,
    }
    app.terminal.write(batch_output.dry_run(app.terminal, result, as_json=options.json))
    if bad:
        raise UsageError(
            f"{bad} of {batch_output.counted(count, 'record')} cannot be sent",
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


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("batch")(as_command(BatchOptions, run))
