"""`writer complete`: a prompt goes in, a text comes out."""

import shlex
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from writer_cli import atomic
from writer_cli.commands import prompts
from writer_cli.commands.app import App
from writer_cli.commands.options import (
    GenerationOptions,
    ModelOptions,
    OrganizationOptions,
    OutputOptions,
    Prompt,
    as_command,
)
from writer_cli.config.schema import flag_of
from writer_cli.errors import OutputError, ReaderGoneError, SDKError, UsageError, WriterError
from writer_cli.exits import ExitCode
from writer_cli.output import render
from writer_cli.output.terminal import visible

if TYPE_CHECKING:
    from writer_cli.http.stream import CompletionStream
    from writer_cli.models import CompletionRequest, CreateCompletionResponse


class CompleteOptions(OutputOptions, GenerationOptions, OrganizationOptions, ModelOptions):
    """What `writer complete` can be told."""

    prompt: Prompt = None


def run(options: CompleteOptions, app: App) -> None:
    """Complete a prompt with a language model.

    writer complete -m palmyra-x5 "Once upon a time"

    git diff | writer complete -m palmyra-x5 "Write a commit message:" -
    """
    complete(options, app, customization_id=None)


class _Question(NamedTuple):
    """What is asked of which model, and whether the answer comes as a stream."""

    request: "CompletionRequest"
    model_id: str
    customization_id: str | None
    stream: bool


def complete(options: CompleteOptions, app: App, *, customization_id: str | None) -> None:
    """Do what `complete` and `complete-custom` have in common: all but one word of the address."""
    if options.dry_run and options.print_curl:
        raise UsageError("--dry-run and --print-curl exclude each other", hint="leave one out")
    question = _question(options, app, customization_id)
    if options.dry_run or options.print_curl:
        app.terminal.write(_as_sent(question, options, app))
        return
    app.start_spinner(f"waiting for {question.model_id}")
    try:
        with closing(_pieces(question, options, app)) as pieces:
            if options.output is None:
                _print(pieces, options, app)
            else:
                _write_file(options.output, pieces, options, app)
    except SDKError as error:
        if error.kind == "not_found":
            _suggest_model(error, question.model_id, app)
        raise
    finally:
        app.stop_spinner()


def _suggest_model(error: SDKError, model_id: str, app: App) -> None:
    """Add to an error the model that was meant, if one of the last list is much like it."""
    from writer_cli.config import model_cache

    near = model_cache.nearest(model_cache.path_for(app.settings.get("api").value), model_id)
    if near is not None:
        error.hint = f"did you mean -m {shlex.quote(near)}? {error.hint}"


def _question(options: CompleteOptions, app: App, customization_id: str | None) -> _Question:
    prompt = prompts.read(options.prompt or (), options.file or (), app.terminal.stdin)
    asks = prompts.asks_for_stdin(options.prompt or (), options.file or ())
    if app.terminal.stderr_is_terminal and not asks and app.terminal.has_unasked_input():
        app.warn("standard input was not read: add - to make it part of the prompt")
    request = options.request(prompt)
    for name, advice in request.advice().items():
        app.warn(f"{flag_of(name)}: {advice}")
    model_id = app.model_id()
    app.warn_if_retired(model_id)
    stream = options.stream
    if stream is not False:
        from writer_cli.apis import dialect

        target = dialect.Target(model_id=model_id, customization_id=customization_id)
        obstacle = dialect.obstacle_to_streaming(request, target)
        if stream and obstacle is not None:
            raise UsageError(
                f"{obstacle}: such a request cannot be streamed",
                hint="leave it out, or do without --stream",
                field=obstacle,
            )
        shows_it = app.terminal.stdout_is_terminal and not options.json and options.output is None
        stream = stream or (shows_it and obstacle is None)
    return _Question(request, model_id, customization_id, stream)


def _as_sent(question: _Question, options: CompleteOptions, app: App) -> str:
    prepared = app.writer.completions.prepare(
        completion_request=question.request,
        model_id=question.model_id,
        customization_id=question.customization_id,
        stream=question.stream,
    )
    if options.print_curl:
        return render.curl(prepared)
    return render.document(app.terminal, render.prepared_as_dict(prepared))


def _pieces(question: _Question, options: CompleteOptions, app: App) -> Generator[str]:
    """Yield what goes to the output: a stream as it comes, anything else whole."""
    if question.stream:
        return _streamed(question, options, app)
    return _whole(question, options, app)


def _whole(question: _Question, options: CompleteOptions, app: App) -> Generator[str]:
    completions = app.writer.completions
    request, model_id = question.request, question.model_id
    if question.customization_id is None:
        response = completions.create(completion_request=request, model_id=model_id)
    else:
        response = completions.create_model_customization_completion(
            completion_request=request,
            model_id=model_id,
            customization_id=question.customization_id,
        )
    app.stop_spinner()
    choices = render.choices_of(response)
    _report(response, app)
    if request.logprobs and any(choice.logprobs is None for choice in choices):
        app.warn("--logprobs: the answer has none")
    if options.json:
        result = render.completion_as_dict(
            choices, response, model_id=model_id, customization_id=question.customization_id
        )
        yield render.document(app.terminal, result)
    elif options.output is None and app.terminal.stdout_is_terminal:
        yield render.for_a_person(
            choices, app.terminal, newline=not options.no_newline, raw=options.raw
        )
    else:
        texts = [choice.text for choice in choices]
        newline = not options.no_newline
        yield render.joined_texts(texts, separator=options.separator, newline=newline)


def _streamed(question: _Question, options: CompleteOptions, app: App) -> Generator[str]:
    is_shown = options.output is None and app.terminal.stdout_is_terminal
    with app.writer.completions.stream(
        completion_request=question.request, model_id=question.model_id
    ) as stream:
        try:
            for chunk in stream:
                if chunk.text:
                    app.stop_spinner()
                    if not options.json:
                        needs_care = is_shown and not options.raw
                        yield visible(chunk.text) if needs_care else chunk.text
        except WriterError:
            if is_shown and stream.text and not options.json:
                yield "\n"
            raise
        except (KeyboardInterrupt, SystemExit) as stop:
            # Elsewhere the text has been written as it came.
            if options.json and stream.text:
                raise _interruption(stream, stop) from None
            raise
        response = stream.response()
        if options.json:
            result = render.completion_as_dict(
                render.choices_of(response),
                response,
                model_id=question.model_id,
                customization_id=None,
            )
            yield render.document(app.terminal, result)
        elif not options.no_newline and not stream.text.endswith("\n"):
            yield "\n"
        _report(response, app)


def _interruption(stream: "CompletionStream", stop: KeyboardInterrupt | SystemExit) -> WriterError:
    """Return the error that has what came of a text before a signal did."""
    error = WriterError("interrupted before the text was whole")
    error.kind = "interrupted"
    is_terminated = isinstance(stop, SystemExit)
    error.exit_code = ExitCode.TERMINATED if is_terminated else ExitCode.INTERRUPTED
    error.text, error.attempts = stream.text, stream.attempts
    return error


def _report(response: "CreateCompletionResponse", app: App) -> None:
    app.report(
        f"HTTP {response.status_code} in {response.elapsed_s:.3f} s, "
        f"attempts: {response.attempts}, Action-Id: {response.action_id}, {app.writer!r}"
    )


def _print(pieces: Generator[str], options: CompleteOptions, app: App) -> None:
    """Write a text as it comes; one that does not fit, as on a full disk, is not thrown away."""
    text = ""
    try:
        for piece in pieces:
            text += piece
            app.terminal.write(piece)
    except OutputError as error:
        text += "".join(pieces)
        if options.json:
            error.text = text
        else:
            app.terminal.note(text.removesuffix("\n"))
            error.hint = "the text went to standard error instead"
        raise


def _write_file(path: Path, pieces: Generator[str], options: CompleteOptions, app: App) -> None:
    """Write a file whole, keep in `FILE.partial` what came of a text that was cut.

    The place is tried before anything is sent, and what cannot be written there after all goes to
    standard output: a text that was paid for is not thrown away.
    """
    text = ""
    try:
        with atomic.replacement(path) as file:
            for piece in pieces:
                text += piece
            app.stop_spinner()
            file.write(text.encode("utf-8", "replace"))
    except OutputError as error:
        where = _print_after_all(text, options, app)
        error.message = f"--output: {error.message}"
        error.hint = f"the text went to {where} instead"
        raise
    except BaseException:
        if text:
            _keep(text, path, options, app)
        raise


def _keep(text: str, path: Path, options: CompleteOptions, app: App) -> None:
    """Keep what came of a text that was cut beside the file that it was for."""
    try:
        if path.exists() and not path.is_file():
            raise OutputError(f"{path} is no file")  # but a device or a pipe, which has no beside
        partial = path.with_name(f"{path.name}.partial")
        with atomic.replacement(partial) as file:
            file.write(text.encode("utf-8", "replace"))
        app.warn(f"what came of the text is in {partial}")
    except WriterError:
        _print_after_all(text, options, app)


def _print_after_all(text: str, options: CompleteOptions, app: App) -> str:
    """Write a text to the first stream that takes it, and return its name."""
    is_safe = options.raw or not app.terminal.stdout_is_terminal
    try:
        app.terminal.write(text if is_safe else visible(text))
    except (OutputError, ReaderGoneError):
        app.terminal.note(text.removesuffix("\n"))
        return "standard error"
    return "standard output"


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("complete")(as_command(CompleteOptions, run))
