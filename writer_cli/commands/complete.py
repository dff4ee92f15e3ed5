"""`writer complete`: a prompt goes in, a text comes out."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import typer

from writer_cli import atomic, prompts, render
from writer_cli.app import App
from writer_cli.errors import OutputError, UsageError
from writer_cli.options import (
    GenerationOptions,
    OutputOptions,
    Prompt,
    TargetOptions,
    as_command,
)
from writer_cli.settings import flag_of
from writer_cli.terminal import visible

if TYPE_CHECKING:
    from writer_cli.connection import PreparedRequest
    from writer_cli.models import CompletionRequest, CreateCompletionResponse


@dataclass(frozen=True, kw_only=True)
class CompleteOptions(OutputOptions, GenerationOptions, TargetOptions):
    """What `writer complete` can be told."""

    prompt: Prompt = None


def run(options: CompleteOptions, app: App) -> None:
    """Complete a prompt with a language model.

    writer complete -m palmyra-x5 "Once upon a time"

    git diff | writer complete -m palmyra-x5 "Write a commit message:" -
    """
    complete(options, app, customization_id=None)


def complete(options: CompleteOptions, app: App, *, customization_id: str | None) -> None:
    """Do what `complete` and `complete-custom` have in common: all but one word of the address."""
    if options.dry_run and options.print_curl:
        raise UsageError("--dry-run and --print-curl exclude each other", hint="leave one out")
    prompt = prompts.read(options.prompt or (), options.file or (), app.terminal.stdin)
    _mention_unasked_input(options, app)
    request = options.request(prompt)
    for name, advice in request.advice().items():
        app.warn(f"{flag_of(name)}: {advice}")
    model_id = app.model_id()
    if options.dry_run or options.print_curl:
        prepared = app.writer.completions.prepare(
            completion_request=request, model_id=model_id, customization_id=customization_id
        )
        app.terminal.write(_as_asked(prepared, options, app))
        return
    with ExitStack() as stack:
        # Opened before anything is sent: a text that cannot be kept is not paid for.
        file = stack.enter_context(atomic.replacement(options.output)) if options.output else None
        response = _answer(request, app, model_id=model_id, customization_id=customization_id)
        if options.json:
            result = render.document(
                app.terminal,
                render.completion_as_dict(
                    response, model_id=model_id, customization_id=customization_id
                ),
            )
        elif file is None:
            result = render.completion(
                app.terminal,
                response,
                separator=options.separator,
                newline=not options.no_newline,
                raw=options.raw,
            )
        else:
            result = render.joined_texts(
                [choice.text for choice in render.choices_of(response)],
                separator=options.separator,
                newline=not options.no_newline,
            )
        _deliver(result, file, stack, options, app)


def _answer(
    request: "CompletionRequest", app: App, *, model_id: str, customization_id: str | None
) -> "CreateCompletionResponse":
    completions = app.writer.completions
    with render.waiting(app.terminal, f"waiting for {model_id}", quiet=app.options.quiet):
        if customization_id is None:
            response = completions.create(completion_request=request, model_id=model_id)
        else:
            response = completions.create_model_customization_completion(
                completion_request=request, model_id=model_id, customization_id=customization_id
            )
    app.report(
        f"{app.writer!r}: HTTP {response.status_code} in {response.elapsed_s:.3f} s, "
        f"Action-Id {response.action_id}"
    )
    if request.logprobs and any(c.logprobs is None for c in render.choices_of(response)):
        app.warn("--logprobs: the answer has none")
    return response


def _as_asked(prepared: "PreparedRequest", options: CompleteOptions, app: App) -> str:
    if options.print_curl:
        return render.curl(prepared)
    return render.document(app.terminal, render.prepared_as_dict(prepared))


def _deliver(
    result: str, file: BinaryIO | None, stack: ExitStack, options: CompleteOptions, app: App
) -> None:
    """Write the result where it was to go, or, if that fails now, where it can still be seen."""
    if file is None:
        app.terminal.write(result)
        return
    try:
        with stack:
            file.write(result.encode("utf-8", "replace"))
    except OutputError as error:
        is_safe = options.raw or not app.terminal.stdout_is_terminal
        app.terminal.write(result if is_safe else visible(result))
        raise OutputError(
            f"--output: {error.message}", hint="the text went to standard output instead"
        ) from error


def _mention_unasked_input(options: CompleteOptions, app: App) -> None:
    asked = prompts.asks_for_stdin(options.prompt or (), options.file or ())
    if app.terminal.stderr_is_terminal and not asked and app.terminal.has_unasked_input():
        app.warn("standard input was not read: add - to make it part of the prompt")


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("complete")(as_command(CompleteOptions, run))
