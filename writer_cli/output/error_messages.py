"""The messages of errors, for people and for scripts."""

import json
import re

from writer_cli.errors import FailMessage, FailResponse, SDKError, WriterError
from writer_cli.output.annotations import annotation
from writer_cli.output.terminal import Terminal, escaped_json, visible
from writer_cli.output.words import indented, wrapped

HINT = "hint: "

MOST_MESSAGES = 20
"""Reasons of a `FailResponse` that are shown as text; JSON has all of them."""


def show_error(
    terminal: Terminal, failure: WriterError, *, as_json: bool, annotated: bool = False
) -> None:
    """Show what failed and what to do next: as text, as one JSON object, or as an annotation."""
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
        lines.append(("bold", HINT, failure.hint))
    if annotated:
        text = "\n".join(f"{label.strip()} {text}".strip() for _, label, text in lines)
        title = f"writer: {failure.kind}, exit code {failure.exit_code.value}"
        terminal.note(annotation("error", title, text))
        return
    if not terminal.stderr_is_terminal:
        for _, label, text in lines:
            # What a server says over several lines is to look like nothing that we say.
            terminal.note(label + text.replace("\n", "\n" + " " * len(label)))
        return
    _draw(terminal, lines)


_COMMAND = re.compile(r"[,;:. ]*`([^`\n]* [^`\n]*)`")
"""A command line in a hint: what stands in backquotes and has a blank, and what separates it."""


def _draw(terminal: Terminal, lines: list[tuple[str, str, str]]) -> None:
    """Draw an error for a person: wrapped at words, each command of the hint on its own line."""
    from rich.text import Text

    console = terminal.console()
    for style, label, text in lines:
        plain = "dim" if style == "dim" else "not bold default"
        # The odd pieces are the commands.
        pieces = _COMMAND.split(text) if label == HINT else [text]
        indent, width = len(label), console.width
        shown: list[tuple[int, str]] = []
        for number, piece in enumerate(pieces):
            if number % 2:  # a long command stays one line to copy
                shown.append((indent + 2, visible(piece)))
            for line in [] if number % 2 else visible(piece).splitlines():
                prose = line.lstrip(",;:. ") if number else line
                shown += [(indent, part) for part in wrapped(prose, width - indent)]
        for number, (column, line) in enumerate(shown):
            start = "" if number else label
            rest = indented(line, column, width) if number else " " * (column - indent) + line
            console.print(Text(start, style).append(rest, plain), soft_wrap=True)


def _messages(failure: FailResponse) -> list[str]:
    shown = [_message(one) for one in failure.errors[:MOST_MESSAGES] if one.description or one.key]
    left_out = len(failure.errors) - MOST_MESSAGES
    return [*shown, f"and {left_out} more: see them with --json"] if left_out > 0 else shown


def _message(message: FailMessage) -> str:
    from writer_cli.config.schema import flag_of

    reason = flag_of(message.field) if message.field else message.key
    return f"{message.description} ({reason})" if reason else message.description
