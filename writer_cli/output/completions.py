"""A completion as text, as JSON, or as something to look at."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from writer_cli.errors import BadAnswerError
from writer_cli.output.documents import JSON_VERSION
from writer_cli.output.terminal import Terminal, visible

if TYPE_CHECKING:
    from writer_cli.models import (
        CompletionGenerationChoice,
        CompletionGenerationChoiceLogprobs,
        CreateCompletionResponse,
    )

NUL_SEPARATOR = r"\0"


def completion_as_dict(
    response: "CreateCompletionResponse",
    *,
    model_id: str,
    customization_id: str | None,
) -> dict[str, Any]:
    """Return the JSON result of a completion. Raises `BadAnswerError` where it has no choices."""
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
    }


def choices_of(response: "CreateCompletionResponse") -> "list[CompletionGenerationChoice]":
    """Return the completions. Raises `BadAnswerError` where the answer has none."""
    choices = response.completion_response.choices if response.completion_response else []
    if not choices:
        error = BadAnswerError("the answer has no choices", hint="try again")
        error.attempts = response.attempts
        raise error
    return choices


def joined_texts(texts: Sequence[str], *, separator: str, newline: bool) -> str:
    r"""Return the texts as they came, each ended by a line break, a separator line between them.

    With the separator `\0` each text ends with a NUL byte instead, as `xargs -0` reads them.
    """
    if separator == NUL_SEPARATOR:
        return "".join(f"{text}\0" for text in texts)
    joined = f"{separator}\n".join(ended(text) for text in texts)
    if newline or texts[-1].endswith("\n"):
        return joined
    return joined.removesuffix("\n")


def ended(text: str) -> str:
    """Return a text with a line break at its end."""
    return text if text.endswith("\n") else f"{text}\n"


def for_terminal(
    choices: "Sequence[CompletionGenerationChoice]",
    terminal: Terminal,
    *,
    newline: bool,
    raw: bool,
) -> str:
    """Return completions for a terminal: what would act on it is shown instead.

    Several choices have headings, and tokens with log probabilities are coloured by them.
    """
    texts = []
    for number, choice in enumerate(choices, 1):
        heading = f"── {number} of {len(choices)} ──\n" if len(choices) > 1 else ""
        text = choice.text if raw else visible(choice.text)
        if choice.logprobs is not None and choice.logprobs.tokens and not raw:
            text = _with_probabilities(choice.logprobs, in_color=terminal.stdout_shows_color)
        texts.append(heading + (ended(text) if newline else text))
    return "\n".join(texts)


_SHADES = ((0.7, "32"), (0.3, "33"), (0.0, "31"))
"""From this probability on, this ANSI colour: green, yellow, red."""


def _with_probabilities(logprobs: "CompletionGenerationChoiceLogprobs", *, in_color: bool) -> str:
    """Return the tokens, coloured, and a line for each with its alternatives."""
    tokens = logprobs.tokens or []
    chances = [_probability(p) for p in logprobs.token_logprobs or []]
    chances += [None] * (len(tokens) - len(chances))
    tops = list(logprobs.top_logprobs or [])
    tops += [None] * (len(tokens) - len(tops))
    text = "".join(
        _colored(visible(token), chance) if in_color else visible(token)
        for token, chance in zip(tokens, chances, strict=False)
    )
    lines = [ended(text)]
    for token, chance, top in zip(tokens, chances, tops, strict=False):
        ranked = sorted((top or {}).items(), key=lambda item: -(item[1] or -math.inf))
        others = "  ".join(f"{_quoted(t)} {_percent(_probability(p))}" for t, p in ranked)
        lines.append(f"{_percent(chance):>6}  {_quoted(token):<16}  {others}".rstrip() + "\n")
    return "".join(lines)


def _probability(logprob: float | None) -> float | None:
    return None if logprob is None else math.exp(min(logprob, 0.0))


def _percent(chance: float | None) -> str:
    return "?" if chance is None else f"{chance:.1%}"


def _quoted(token: str) -> str:
    return visible(json.dumps(token, ensure_ascii=False))


def _colored(text: str, chance: float | None) -> str:
    if chance is None:
        return text
    color = next(code for least, code in _SHADES if chance >= least)
    return f"\x1b[{color}m{text}\x1b[0m"
