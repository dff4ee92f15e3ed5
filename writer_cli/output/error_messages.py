"""The messages of errors, for people and for scripts."""

import json
import re
from itertools import zip_longest

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

    console, width = terminal.console(), terminal.error_width
    for style, label, text in lines:
        plain = "dim" if style == "dim" else "not bold default"
        room = width - len(label)
        first, *rest = _laid_out(text, room, has_commands=label == HINT)
        console.print(Text(label, style).append(" " * first[0] + first[1], plain), soft_wrap=True)
        for indent, line in rest:
            console.print(Text(indented(line, len(label) + indent, width), plain), soft_wrap=True)


def _laid_out(text: str, room: int, *, has_commands: bool) -> list[tuple[int, str]]:
    """Return the lines, each with its indent: prose is wrapped, a command is one line to copy."""
    # A piece of prose and the command after it, in turns; the last one has none.
    pieces = _COMMAND.split(text) if has_commands else [text]
    shown: list[tuple[int, str]] = []
    for prose, command in zip_longest(pieces[::2], pieces[1::2]):
        separators = ",;:. " if shown else ""
        lines = [line.lstrip(separators) for line in visible(prose).splitlines()]
        shown += [(0, part) for line in lines if line.strip() for part in wrapped(line, room)]
        if command is not None:
            shown.append((2, visible(command)))
    return shown or [(0, "")]


def _messages(failure: FailResponse) -> list[str]:
    shown = [_message(one) for one in failure.errors[:MOST_MESSAGES] if one.description or one.key]
    left_out = len(failure.errors) - MOST_MESSAGES
    return [*shown, f"and {left_out} more: see them with --json"] if left_out > 0 else shown


def _message(message: FailMessage) -> str:
    from writer_cli.config.schema import flag_of

    reason = flag_of(message.field) if message.field else message.key
    return f"{message.description} ({reason})" if reason else message.description
