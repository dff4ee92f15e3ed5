"""Results and errors as text, as JSON, or as something to look at."""

import json
import math
import shlex
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from writer_cli.errors import BadAnswerError, FailResponse, SDKError, WriterError
from writer_cli.output.terminal import Terminal, escaped_json, visible

if TYPE_CHECKING:
    from rich.status import Status

    from writer_cli.http.connection import PreparedRequest
    from writer_cli.models import (
        CompletionGenerationChoice,
        CompletionGenerationChoiceLogprobs,
        CreateCompletionResponse,
    )

JSON_VERSION = 1
"""Of the JSON results; a key may be added under the same number, none renamed or taken away."""

SPINNER_DELAY = 0.3
"""Seconds before a spinner is shown: what is quicker needs none."""

MOST_MESSAGES = 20
"""Messages of a `FailResponse` that are shown to a person; JSON has all of them."""

NUL_SEPARATOR = r"\0"


def document(terminal: Terminal, value: dict[str, Any]) -> str:
    """Return a JSON document of one line, or of several for a person at a terminal."""
    indent = 2 if terminal.stdout_is_terminal else None
    return escaped_json(json.dumps(value, ensure_ascii=False, indent=indent)) + "\n"


def write_json(terminal: Terminal, **result: Any) -> None:
    """Write a JSON document with our version number to standard output."""
    terminal.write(document(terminal, {"version": JSON_VERSION, **result}))


def completion_as_dict(
    choices: "Sequence[CompletionGenerationChoice]",
    response: "CreateCompletionResponse",
    *,
    model_id: str,
    customization_id: str | None,
) -> dict[str, Any]:
    """Return the JSON result of a completion."""
    return {
        "version": JSON_VERSION,
        "model_id": model_id,
        "customization_id": customization_id,
        "choices": [
            {
                "index": index,
                "text": choice.text,
                "logprobs": choice.logprobs and choice.logprobs.model_dump(),
            }
            for index, choice in enumerate(choices)
        ],
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


def for_a_person(
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


def prepared_as_dict(prepared: "PreparedRequest") -> dict[str, Any]:
    """Return what `--dry-run` prints: the request, with the name of the key for the key."""
    return {
        "method": prepared.method,
        "url": prepared.url,
        "headers": prepared.headers | {"Authorization": "Bearer $WRITER_API_KEY"},
        "body": prepared.body,
    }


def curl(prepared: "PreparedRequest") -> str:
    """Return the request as a command line for a POSIX shell that has the key in a variable."""
    words = ["curl", "--fail-with-body", "--request", prepared.method, shlex.quote(prepared.url)]
    words += ["--header", '"Authorization: Bearer $WRITER_API_KEY"']
    for name, value in prepared.headers.items():
        words += ["--header", shlex.quote(f"{name}: {value}")]
    body = json.dumps(prepared.body)
    words += ["--data-raw", shlex.quote(body)]
    return " ".join(words) + "\n"


def error(terminal: Terminal, failure: WriterError, *, as_json: bool) -> None:
    """Say what failed and what to do next: to a person in lines, to a script in one JSON object."""
    if as_json:
        as_line = json.dumps({"error": failure.as_dict()}, ensure_ascii=False)
        terminal.note(escaped_json(as_line))
        return
    lines = [("bold red", "error: ", failure.message)]
    if isinstance(failure, FailResponse):
        lines = [("bold red", "error: ", line) for line in _messages(failure)] or lines
    if isinstance(failure, SDKError):
        facts = [f"HTTP {failure.status_code}"]
        facts += [f"tpe {failure.tpe}"] if isinstance(failure, FailResponse) and failure.tpe else []
        facts += [f"Action-Id {failure.action_id}"] if failure.action_id else []
        lines.append(("dim", "       ", " · ".join(facts)))
    if failure.hint is not None:
        lines.append(("bold", "hint: ", failure.hint))
    # What a server says over several lines is to look like nothing that we say.
    lines = [(style, label, _hanging(text, len(label))) for style, label, text in lines]
    if not terminal.stderr_is_terminal:
        for _, label, text in lines:
            terminal.note(label + text)
        return
    from rich.text import Text

    console = terminal.console()
    for style, label, text in lines:
        line = Text(label, style=style)
        line.append(visible(text), style="dim" if style == "dim" else "not bold default")
        console.print(line, soft_wrap=True)


def _hanging(text: str, width: int) -> str:
    """Indent all lines but the first."""
    return text.replace("\n", "\n" + " " * width)


def _messages(failure: FailResponse) -> list[str]:
    shown = [
        f"{message.description} ({message.key})" if message.key else message.description
        for message in failure.errors[:MOST_MESSAGES]
        if message.description or message.key
    ]
    left_out = len(failure.errors) - MOST_MESSAGES
    return [*shown, f"and {left_out} more: see them with --json"] if left_out > 0 else shown


def table(terminal: Terminal, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a table for a person, or tab-separated, without headers, for a pipe."""
    if not terminal.stdout_is_terminal:
        return "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(visible(cell)) for cell in row))
    drawing = StringIO()
    console = Console(
        file=drawing,
        width=terminal.width,
        color_system="standard" if terminal.stdout_shows_color else None,
        force_terminal=True,
    )
    console.print(drawn)
    return drawing.getvalue()


class Spinner:
    """What a person sees on standard error while waiting. It leaves no trace.

    Drawing is imported while the answer is on its way, not before, and nothing is drawn where
    standard error is no terminal. An answer that comes during the import does not wait for it.
    """

    def __init__(self, terminal: Terminal, text: str) -> None:
        self._terminal = terminal
        self._text = text
        self._status: Status | None = None
        self._done = threading.Event()
        self._lock = threading.Lock()
        if terminal.stderr_can_draw:
            threading.Thread(target=self._draw, name="spinner", daemon=True).start()

    def update(self, text: str) -> None:
        """Say something else beside the spinner."""
        with self._lock:
            self._text = text
            if self._status is not None:
                self._status.update(visible(text))

    def stop(self) -> None:
        """Take the spinner away, for good."""
        with self._lock:
            self._done.set()
            if self._status is not None:
                self._status.stop()
                self._status = None

    def _draw(self) -> None:
        if self._done.wait(SPINNER_DELAY):
            return
        status = self._terminal.console().status("")
        with self._lock:
            if not self._done.is_set():
                status.update(visible(self._text))
                status.start()
                self._status = status
