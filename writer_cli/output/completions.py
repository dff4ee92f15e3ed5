"""A completion as text, as JSON, or as shown on a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from writer_cli.errors import BadAnswerError
from writer_cli.output.documents import JSON_VERSION
from writer_cli.output.reading import Reading
from writer_cli.output.terminal import Terminal, visible

if TYPE_CHECKING:
    from writer_cli.models import CompletionGenerationChoice, CreateCompletionResponse

NUL_SEPARATOR = r"\0"


def completion_as_dict(
    response: "CreateCompletionResponse",
    *,
    model_id: str,
    customization_id: str | None,
) -> dict[str, Any]:
    """Return the JSON result of a completion. Raises `BadAnswerError` if it has no choices."""
    choices_of(response)
    assert response.completion_response is not None  # noqa: S101 - it has choices
    return {
        "version": JSON_VERSION,
        "model_id": model_id,
        "customization_id": customization_id,
        **response.completion_response.as_dict(),
        "status_code": response.status_code,
        "action_id": response.action_id,
        "attempts": response.attempts,
        "elapsed_s": round(response.elapsed_s, 3),
        "cached": response.cached,
        "recorded_at": response.recorded_at,
    }


def choices_of(response: "CreateCompletionResponse") -> "list[CompletionGenerationChoice]":
    """Return the completions. Raises `BadAnswerError` if there are none."""
    choices = response.completion_response.choices if response.completion_response else []
    if not choices:
        error = BadAnswerError("the answer has no choices", hint="try again")
        error.attempts = response.attempts
        raise error
    return choices


def joined_texts(texts: Sequence[str], *, separator: str, newline: bool) -> str:
    r"""Return the texts, each with a line break at its end, and a separator line between them.

    With the separator `\0`, each text ends with a NUL byte instead, for `xargs -0`. Without
    `newline`, no line break is added to the last text.
    """
    if separator == NUL_SEPARATOR:
        return "".join(f"{text}\0" for text in texts)
    joined = f"{separator}\n".join(with_newline(text) for text in texts)
    if newline or texts[-1].endswith("\n"):
        return joined
    return joined.removesuffix("\n")


def with_newline(text: str) -> str:
    """Return a text, with a line break added if it does not end with one."""
    return text if text.endswith("\n") else f"{text}\n"


def for_terminal(
    choices: "Sequence[CompletionGenerationChoice]",
    terminal: Terminal,
    reading: Reading,
    *,
    newline: bool,
) -> str:
    """Return completions for a terminal, with control characters made visible unless `raw`.

    Each of several choices has a line above it with its number and its finish reason. Tokens with
    log probabilities are shown in shades.
    """
    texts = []
    for number, choice in enumerate(choices, 1):
        heading = ""
        if len(choices) > 1:
            heading = _rule(f"{number} of {len(choices)}", choice.finish_reason, terminal)
        if choice.logprobs is not None and choice.logprobs.tokens and not reading.raw:
            from writer_cli.output import probabilities

            text = probabilities.view(choice.logprobs, terminal, wrap=reading.wrap)
        else:
            drawing = reading.drawing(terminal)
            text = (
                drawing.add(with_newline(choice.text) if newline else choice.text) + drawing.end()
            )
        texts.append(heading + text)
    return "\n".join(texts)


LONGEST_REASON = 20
"""Characters of a finish reason that are shown; the known reasons are shorter."""


def _rule(number: str, reason: str | None, terminal: Terminal) -> str:
    """Return a line across the terminal that names the text below it."""
    from writer_cli.output.words import cells

    label = f"── {number} "
    if reason:
        label += f"· {visible(' '.join(reason.split())[:LONGEST_REASON].rstrip())} "
    line = label + "─" * (terminal.width - cells(label))
    return f"\x1b[2m{line}\x1b[0m\n" if terminal.stdout_shows_color else f"{line}\n"
