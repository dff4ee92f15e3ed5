"""`writer complete`: send a prompt, and print the text that continues it."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from writer_cli.commands import prompts
from writer_cli.commands.app import App
from writer_cli.commands.cache_options import CacheOptions
from writer_cli.commands.options import (
    GenerationOptions,
    ModelOptions,
    OrganizationOptions,
    OutputOptions,
    Prompt,
)
from writer_cli.commands.parsing import as_command
from writer_cli.commands.reading_options import ReadingOptions
from writer_cli.config.schema import flag_of
from writer_cli.errors import SDKError, UsageError, WriterError
from writer_cli.exits import ExitCode
from writer_cli.output.completions import (
    choices_of,
    completion_as_dict,
    for_terminal,
    joined_texts,
)
from writer_cli.output.delivery import Delivery
from writer_cli.output.documents import json_document
from writer_cli.output.reading import AsItCame, Drawing

if TYPE_CHECKING:
    from writer_cli.http.stream import CompletionStream
    from writer_cli.models import CompletionRequest, CreateCompletionResponse


class CompleteOptions(
    ReadingOptions,
    OutputOptions,
    CacheOptions,
    GenerationOptions,
    OrganizationOptions,
    ModelOptions,
):
    """The flags of `writer complete`."""

    prompt: Prompt = None


def run(options: CompleteOptions, app: App) -> None:
    """Complete a prompt with a language model."""
    complete(options, app, customization_id=None)


class _CompletionCall(NamedTuple):
    """The request, its model, and whether the answer is streamed."""

    request: "CompletionRequest"
    model_id: str
    customization_id: str | None
    stream: bool


def complete(options: CompleteOptions, app: App, *, customization_id: str | None) -> None:
    """Run `complete`, or `complete-custom` with a `customization_id`."""
    if options.dry_run and options.print_curl:
        raise UsageError("--dry-run and --print-curl exclude each other", hint="leave one out")
    for flag, is_given in (("--raw", options.raw), ("--logprobs", options.logprobs is not None)):
        if options.markdown and is_given:
            raise UsageError(f"--markdown and {flag} exclude each other", hint="leave one out")
    path = None if options.output in {None, prompts.STDIN} else Path(str(options.output))
    delivery = Delivery(app.terminal, path, options.json, options.raw, app.warn)
    call = _call(options, app, delivery, customization_id)
    if options.dry_run or options.print_curl:
        app.terminal.write(_prepared(call, options, app))
        return
    app.start_spinner(f"waiting for {call.model_id}")
    try:
        pieces_of = _streamed if call.stream else _complete
        with closing(pieces_of(call, options, app, delivery)) as pieces:
            delivery.deliver(pieces)
    except SDKError as error:
        if error.kind == "not_found":
            _suggest_model(error, call.model_id, app)
        raise
    finally:
        app.stop_spinner()


def _suggest_model(error: SDKError, model_id: str, app: App) -> None:
    """Add "did you mean" to an error, if a model of the last list has a similar id."""
    import shlex

    from writer_cli.config import model_cache

    near = model_cache.nearest(model_cache.path_for(app.settings.get("api").value), model_id)
    if near is not None:
        error.hint = f"did you mean -m {shlex.quote(near)}? {error.hint}"


def _call(
    options: CompleteOptions, app: App, delivery: Delivery, customization_id: str | None
) -> _CompletionCall:
    prompt = prompts.read(options.prompt or (), options.file or (), app.terminal.stdin)
    asks = prompts.asks_for_stdin(options.prompt or (), options.file or ())
    if app.terminal.stderr_is_terminal and not asks and app.terminal.has_unread_input():
        app.warn("standard input was not read: add - to make it part of the prompt")
    request = options.request(prompt)
    for name, advice in request.advice().items():
        app.warn(f"{flag_of(name)}: {advice}")
    sends = not (options.dry_run or options.print_curl)
    app.check_settings(for_sending=sends, may_be_cached=sends)
    model_id = app.model_id()
    app.warn_if_retired(model_id)
    stream = options.stream
    if stream is not False:
        from writer_cli.apis import dialect

        target = dialect.Target(model_id=model_id, customization_id=customization_id)
        obstacle = dialect.obstacle_to_streaming(request, target)
        if stream and obstacle is not None:
            raise UsageError(
                f"{obstacle}: a request with it cannot be streamed",
                hint="leave it out, or do without --stream",
                field=obstacle,
            )
        is_shown = delivery.is_to_screen and not options.json
        stream = stream or (is_shown and obstacle is None)
    return _CompletionCall(request, model_id, customization_id, stream)


def _prepared(call: _CompletionCall, options: CompleteOptions, app: App) -> str:
    from writer_cli.output.requests import curl, prepared_as_dict

    prepared = app.writer.completions.prepare(
        completion_request=call.request,
        model_id=call.model_id,
        customization_id=call.customization_id,
        stream=call.stream,
    )
    if options.print_curl:
        return curl(prepared)
    return json_document(app.terminal, prepared_as_dict(prepared))


def _complete(
    call: _CompletionCall, options: CompleteOptions, app: App, delivery: Delivery
) -> Generator[str]:
    """Yield the complete answer as one piece."""
    completions = app.writer.completions
    request, model_id = call.request, call.model_id
    if call.customization_id is None:
        response = completions.create(completion_request=request, model_id=model_id)
    else:
        response = completions.create_model_customization_completion(
            completion_request=request,
            model_id=model_id,
            customization_id=call.customization_id,
        )
    app.stop_spinner()
    choices = choices_of(response)
    _report(response, app)
    if request.logprobs and any(choice.logprobs is None for choice in choices):
        app.warn("--logprobs: the answer has none")
    if options.json:
        result = completion_as_dict(
            response, model_id=model_id, customization_id=call.customization_id
        )
        yield json_document(app.terminal, result)
    elif delivery.is_to_screen:
        yield for_terminal(choices, app.terminal, options.reading(), newline=not options.no_newline)
    else:
        texts = [choice.text for choice in choices]
        newline = not options.no_newline
        yield joined_texts(texts, separator=options.separator, newline=newline)
    _note_limit([choice.finish_reason for choice in choices], request, app)


def _streamed(
    call: _CompletionCall, options: CompleteOptions, app: App, delivery: Delivery
) -> Generator[str]:
    """Yield the text as it arrives; with `--json`, yield the document at the end."""
    is_shown = delivery.is_to_screen and not options.json
    with app.writer.completions.stream(
        completion_request=call.request, model_id=call.model_id
    ) as stream:
        drawing: Drawing = AsItCame(is_safe=True)
        if is_shown:
            drawing = options.reading().drawing(app.terminal)
        try:
            for piece in _drawn(stream, drawing):
                if not options.json:
                    app.stop_spinner()
                    yield piece
                    if is_shown and options.markdown:  # the next block takes its time
                        app.start_spinner(f"{call.model_id} is writing")
        except (WriterError, KeyboardInterrupt, SystemExit) as stop:
            app.stop_spinner()
            is_error = isinstance(stop, WriterError)
            if is_shown:
                yield drawing.add("\n" if is_error and stream.text else "") + drawing.end()
            elif options.json and stream.text and not is_error:
                # Without --json, the text has already been written.
                raise _interruption(stream, stop) from None
            raise
        app.stop_spinner()
        response = stream.response()
        if options.json:
            result = completion_as_dict(response, model_id=call.model_id, customization_id=None)
            yield json_document(app.terminal, result)
        else:
            needs_newline = not options.no_newline and not stream.text.endswith("\n")
            yield drawing.add("\n" if needs_newline else "") + drawing.end()
        _report(response, app)
        _note_limit([stream.finish_reason], call.request, app)


def _drawn(stream: "CompletionStream", drawing: Drawing) -> Iterator[str]:
    """Yield the drawn form of each chunk, unless it is empty."""
    for chunk in stream:
        if piece := drawing.add(chunk.text):
            yield piece


def _interruption(stream: "CompletionStream", stop: BaseException) -> WriterError:
    """Return an error that contains the text that arrived before a signal."""
    error = WriterError("interrupted before the text was complete")
    error.kind = "interrupted"
    code = getattr(stop, "code", ExitCode.INTERRUPTED)
    error.exit_code = next(known for known in ExitCode if known == code)
    error.text, error.attempts = stream.text, stream.attempts
    return error


def _report(response: "CreateCompletionResponse", app: App) -> None:
    app.report(
        f"HTTP {response.status_code} in {response.elapsed_s:.3f} s, "
        f"attempts: {response.attempts}, Action-Id: {response.action_id}, {app.writer!r}"
    )
    if response.usage is not None:
        counts = response.usage
        app.report(f"tokens: {counts.prompt_tokens} in, {counts.completion_tokens} out")


def _note_limit(
    finish_reasons: Sequence[str | None], request: "CompletionRequest", app: App
) -> None:
    """Show a note on a terminal if a text was cut at the maximum number of tokens."""
    if "length" not in finish_reasons or not app.terminal.stderr_is_terminal:
        return
    if request.max_tokens is not None:
        app.say(f"note: stopped at --max-tokens {request.max_tokens}")
    else:
        app.say("note: stopped at the server's own limit of tokens: --max-tokens sets another")


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("complete")(as_command(CompleteOptions, run))
