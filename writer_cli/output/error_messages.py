"""The messages of errors, for people and for scripts."""

import json

from writer_cli.errors import FailMessage, FailResponse, SDKError, WriterError
from writer_cli.output.terminal import Terminal, escaped_json, visible

MOST_MESSAGES = 20
"""Reasons of a `FailResponse` that are shown as text; JSON has all of them."""


def show_error(terminal: Terminal, failure: WriterError, *, as_json: bool) -> None:
    """Show what failed and what to do next: as lines of text, or as one JSON object."""
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
    # The lines of a server's message are indented, so that they cannot pass for lines of ours.
    lines = [(style, label, _indented(text, len(label))) for style, label, text in lines]
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


def _indented(text: str, width: int) -> str:
    """Indent all lines but the first."""
    return text.replace("\n", "\n" + " " * width)


def _messages(failure: FailResponse) -> list[str]:
    shown = [_message(one) for one in failure.errors[:MOST_MESSAGES] if one.description or one.key]
    left_out = len(failure.errors) - MOST_MESSAGES
    return [*shown, f"and {left_out} more: see them with --json"] if left_out > 0 else shown


def _message(message: FailMessage) -> str:
    from writer_cli.config.schema import flag_of

    reason = flag_of(message.field) if message.field else message.key
    return f"{message.description} ({reason})" if reason else message.description
