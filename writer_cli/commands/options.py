"""The flags that several commands share, each declared once, as attributes of classes.

A command's options are a class built of these, and `parsing.as_command` makes it the signature that
typer reads.
"""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from writer_cli.commands.global_options import GlobalOptions, Options
from writer_cli.errors import UsageError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from writer_cli.models import CompletionRequest

Prompt = Annotated[
    list[str] | None,
    typer.Argument(
        help="The prompt. Several are joined by a blank line; - is standard input, which is also "
        "read if there is no prompt at all.",
        rich_help_panel="Prompt",
    ),
]

RANGES = {
    "max_tokens": "1 or more",
    "temperature": "0 or more",
    "stop": "a text that is not empty",
    "n": "1 or more",
    "best_of": "--n or more",
    "top_p": "0 to 1",
    "min_tokens": "0 to --max-tokens",
    "presence_penalty": "any number",
    "frequency_penalty": "any number",
    "logprobs": "0 or more",
    "random_seed": "-2147483648 to 2147483647",
}
"""The allowed values of each field of a request, as the help and the errors name them."""


def _field(flag: str, text: str, *, short: str | None = None) -> Any:
    name = flag.removeprefix("--").replace("-", "_")
    return typer.Option(
        *([short] if short else []),
        flag,
        help=f"{text} ({RANGES[name]}).",
        metavar="TEXT" if flag == "--stop" else None,
        rich_help_panel="Generation",
    )


class GenerationOptions(Options):
    """A flag for every field of a completion request but the prompt."""

    max_tokens: Annotated[
        int | None, _field("--max-tokens", "Generate at most this many tokens")
    ] = None
    temperature: Annotated[
        float | None,
        _field("--temperature", "How random the text is; 0 always takes the likeliest token"),
    ] = None
    stop: Annotated[
        list[str] | None, _field("--stop", "End the text before this string; can be repeated")
    ] = None
    n: Annotated[
        int | None, _field("--n", "Return this many texts; not with studio", short="-n")
    ] = None
    best_of: Annotated[
        int | None, _field("--best-of", "Generate this many texts and return the best")
    ] = None
    top_p: Annotated[
        float | None,
        _field("--top-p", "Choose among the likeliest tokens, up to this total probability"),
    ] = None
    min_tokens: Annotated[
        int | None, _field("--min-tokens", "Generate at least this many tokens; not with studio")
    ] = None
    presence_penalty: Annotated[
        float | None,
        _field(
            "--presence-penalty",
            "Make tokens less likely that are in the text already; not with studio",
        ),
    ] = None
    frequency_penalty: Annotated[
        float | None,
        _field(
            "--frequency-penalty",
            "Make a token less likely each time it is in the text; not with studio",
        ),
    ] = None
    logprobs: Annotated[
        int | None,
        _field(
            "--logprobs",
            "For each token, return the log probabilities of this many; not with studio",
        ),
    ] = None
    random_seed: Annotated[
        int | None,
        _field("--random-seed", "The same seed gives the same text; studio and openai only"),
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
    """The flag for the model."""

    model_id: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model-id",
            help="The model, such as palmyra-x5. Not needed if it is in the settings, or with "
            "--sandbox.",
            metavar="ID",
            rich_help_panel="Model",
        ),
    ] = None


class OrganizationOptions(GlobalOptions):
    """The flag for the organization."""

    organization_id: Annotated[
        int | None,
        typer.Option(
            "--organization-id",
            help="The number of the organization (enterprise API only).",
            metavar="NUMBER",
            rich_help_panel="Connection",
        ),
    ] = None


class OutputOptions(Options):
    """Where a completion goes, and in what form."""

    file: Annotated[
        list[str] | None,
        typer.Option(
            "-f",
            "--file",
            help="Add a file to the prompt; can be repeated.",
            metavar="FILE",
            rich_help_panel="Prompt",
        ),
    ] = None
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the result to this file. It is replaced only by a whole result; "
            "- is standard output.",
            metavar="FILE",
            rich_help_panel="Output",
        ),
    ] = None
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Print the text while it is generated, or only when it is complete "
            "(default --stream on a terminal, --no-stream elsewhere).",
            rich_help_panel="Output",
        ),
    ] = None
    separator: Annotated[
        str,
        typer.Option(
            "--separator",
            help=r"The line between several texts (default ---); \0 ends each text with a NUL "
            "byte instead.",
            metavar="TEXT",
            rich_help_panel="Output",
        ),
    ] = "---"
    no_newline: Annotated[
        bool,
        typer.Option(
            "--no-newline", help="Add no line break at the end.", rich_help_panel="Output"
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
    return out_of_range(flag_of(name), first["input"], RANGES[name])


def out_of_range(flag: str, given: Any, allowed: str) -> UsageError:
    """Return the error for a value that a flag cannot have."""
    from writer_cli.config.schema import quoted

    shown = f"{given:g}" if isinstance(given, float) else quoted(given)
    return UsageError(
        f"{flag} {shown} is out of range: {allowed}", hint="--help lists every flag with its range"
    )
