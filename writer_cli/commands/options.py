"""The flags that several commands share, each declared once, as attributes of classes.

A command's options are a class built of these, and `as_command` makes it the signature that typer
reads.
"""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from writer_cli.commands.app import App, GlobalOptions, Options
from writer_cli.errors import UsageError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from writer_cli.models import CompletionRequest

Prompt = Annotated[
    list[str] | None,
    typer.Argument(
        help="The prompt. Several are joined by a blank line; - stands for standard input, "
        "which is also read when there is no prompt at all.",
        show_default=False,
    ),
]

RANGES = {
    "max_tokens": "1 or more",
    "min_tokens": "0 or more, and --max-tokens at the most",
    "temperature": "0 or more",
    "top_p": "0 to 1",
    "stop": "a text that is not empty",
    "presence_penalty": "any number",
    "frequency_penalty": "any number",
    "best_of": "--n or more",
    "n": "1 or more",
    "logprobs": "0 or more",
    "random_seed": "a whole number of 32 bits; studio only",
}
"""What each field of a request may be, in the words of the help and of the errors."""


def _field(flag: str, text: str, *, short: str | None = None) -> Any:
    name = flag.removeprefix("--").replace("-", "_")
    return typer.Option(
        *([short] if short else []),
        flag,
        help=f"{text} ({RANGES[name]})",
        rich_help_panel="Generation",
        show_default=False,
    )


class GenerationOptions(Options):
    """A flag for every field of a completion request but the prompt."""

    max_tokens: Annotated[
        int | None, _field("--max-tokens", "Generate at most this many tokens.")
    ] = None
    min_tokens: Annotated[
        int | None, _field("--min-tokens", "Generate at least this many tokens.")
    ] = None
    temperature: Annotated[
        float | None, _field("--temperature", "How random: 0 takes the likeliest token each time.")
    ] = None
    top_p: Annotated[
        float | None, _field("--top-p", "Sample only the likeliest tokens, up to this probability.")
    ] = None
    stop: Annotated[
        list[str] | None, _field("--stop", "End the text before this string; can be repeated.")
    ] = None
    presence_penalty: Annotated[
        float | None, _field("--presence-penalty", "Make a token that was there less likely.")
    ] = None
    frequency_penalty: Annotated[
        float | None, _field("--frequency-penalty", "Make it less likely each time it was there.")
    ] = None
    best_of: Annotated[
        int | None, _field("--best-of", "Generate this many completions, return the best.")
    ] = None
    n: Annotated[int | None, _field("--n", "Return this many completions.", short="-n")] = None
    logprobs: Annotated[
        int | None,
        _field("--logprobs", "For each token, the log probabilities of this many likeliest ones."),
    ] = None

    random_seed: Annotated[
        int | None, _field("--random-seed", "The same seed gives the same text.")
    ] = None

    def fields(self) -> dict[str, Any]:
        """Return the fields that were given, by name."""
        given = {name: getattr(self, name) for name in RANGES}
        given["stop"] = list(self.stop) if self.stop else None
        return {name: value for name, value in given.items() if value is not None}

    def request(self, prompt: str) -> "CompletionRequest":
        """Build the request. Raises `UsageError` naming the flag, the value and the range."""
        from pydantic import ValidationError

        from writer_cli.models import CompletionRequest

        try:
            return CompletionRequest(prompt=prompt, **self.fields())
        except ValidationError as error:
            raise _as_usage_error(error) from None


class ModelOptions(Options):
    """Which model."""

    model_id: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model-id",
            help="The model, such as palmyra-x5; with --sandbox it may be left out.",
            rich_help_panel="Generation",
            show_default=False,
        ),
    ] = None


class OrganizationOptions(GlobalOptions):
    """Of which organization."""

    organization_id: Annotated[
        int | None,
        typer.Option(
            "--organization-id",
            help="The organization; the enterprise API has it in its address.",
            rich_help_panel="Connection",
            show_default=False,
        ),
    ] = None


class OutputOptions(Options):
    """Where a completion goes, and in what form."""

    file: Annotated[
        list[Path] | None,
        typer.Option(
            "-f",
            "--file",
            help="Add a file to the prompt; can be repeated.",
            show_default=False,
        ),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the result to this file, whole or not at all.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None
    no_newline: Annotated[
        bool,
        typer.Option(
            "--no-newline", help="Add no line break at the end.", rich_help_panel="Output"
        ),
    ] = False
    separator: Annotated[
        str,
        typer.Option(
            "--separator",
            help=r"The line between several choices; \0 ends each with a NUL byte instead.",
            rich_help_panel="Output",
        ),
    ] = "---"
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Show the text while it is generated; on a terminal that is how it comes.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Show control characters as they are, on a terminal too.",
            rich_help_panel="Output",
        ),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the request and send nothing.", rich_help_panel="Output"
        ),
    ] = False
    print_curl: Annotated[
        bool,
        typer.Option(
            "--print-curl",
            help="Print the request as a curl command and send nothing.",
            rich_help_panel="Output",
        ),
    ] = False


_Options = TypeVar("_Options", bound=GlobalOptions)


def as_command(
    options: type[_Options], run: Callable[[_Options, App], None]
) -> Callable[..., None]:
    """Return a function for typer: its parameters are the fields of `options`, its help `run`'s.

    A global option that stands before the command's name holds unless the command has its own.
    """

    def command(ctx: typer.Context, **given: Any) -> None:
        app: App = ctx.obj
        for name in app.given_before:
            if given[name] is None or given[name] is False:  # 0 is a value, if a wrong one
                given[name] = app.given_before[name]
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
        }
        parsed = options(**values)
        app.options = parsed
        run(parsed, app)

    command.__doc__ = run.__doc__
    command.__signature__ = signature_of(options)  # type: ignore[attr-defined]
    return command


def signature_of(options: type[GlobalOptions]) -> inspect.Signature:
    """Return the signature that has the flags of `options` as keyword parameters."""
    flags = {
        name: annotation
        for base in reversed(options.__mro__)
        for name, annotation in inspect.get_annotations(base).items()
    }
    shared = inspect.get_annotations(GlobalOptions)
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=getattr(options, name, inspect.Parameter.empty),
            annotation=flags[name],
        )
        # What is the command's own stands first in its help.
        for name in sorted(flags, key=lambda name: name in shared)
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    return inspect.Signature([context, *parameters])


def _with_flags(text: str) -> str:
    """Name the flags in a message that names two fields of a request."""
    from writer_cli.config.schema import flag_of

    return re.sub(rf"\b({'|'.join(RANGES)})\b", lambda match: flag_of(match[0]), text)


def _as_usage_error(error: "ValidationError") -> UsageError:
    from writer_cli.config.schema import flag_of

    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return UsageError(
            _with_flags(str(first["ctx"]["error"])), hint="change one of the two, or leave it out"
        )
    name = str(first["loc"][0])
    given = first["input"]
    shown = f"{given:g}" if isinstance(given, float) else repr(given)
    return out_of_range(flag_of(name), shown, RANGES[name])


def out_of_range(flag: str, given: str, allowed: str) -> UsageError:
    """Return the error for a value that a flag cannot have."""
    return UsageError(
        f"{flag} {given} is out of range: {allowed}", hint="--help lists every flag with its range"
    )
