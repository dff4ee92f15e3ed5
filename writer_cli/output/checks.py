"""A list of settings with their notes, for a terminal of any width."""

from collections.abc import Sequence
from typing import NamedTuple

from writer_cli.output.terminal import Terminal, visible
from writer_cli.output.words import cells, indented, wrapped

COLORS = {"ok": "32", "note": "33", "wrong": "1;31"}
"""The ANSI colour of a verdict: green, yellow, bold red."""

GAP = 3
"""Blanks between a value and its note on the same line."""

LEAST_ROOM = 40
"""Columns for a column of values; if there are fewer, each value follows its name."""


class Item(NamedTuple):
    """A setting, its value, a note on it, and a verdict if there is one."""

    name: str
    value: str
    note: str = ""
    verdict: str = ""


def listing(terminal: Terminal, items: Sequence[Item]) -> str:
    """Return settings for a person: each with its value beside it, or below if it does not fit."""
    longest = max(len(item.verdict) for item in items)
    indent = longest + 2 if longest else 0
    names = max(len(item.name) for item in items) + 2
    is_narrow = terminal.width - indent - names < LEAST_ROOM
    column = indent + 2 if is_narrow else indent + names
    lines = []
    for item in items:
        start = _colored(item.verdict, terminal) + " " * (indent - len(item.verdict)) + item.name
        room = terminal.width - column
        texts = [visible(text) for text in (item.value, item.note) if text]
        together = (" " * GAP).join(texts)
        if len(texts) > 1 and cells(together) <= room:
            details = [together]
        else:
            details = [line for text in texts for line in wrapped(text, room)]
        gap = GAP if is_narrow else names - len(item.name)
        taken = indent + len(item.name) + gap
        if details and (not is_narrow or taken + cells(details[0]) <= terminal.width):
            start += " " * gap + details.pop(0)
        lines += [start, *(indented(detail, column, terminal.width) for detail in details)]
    return "\n".join(lines) + "\n"


def _colored(verdict: str, terminal: Terminal) -> str:
    if not (verdict and terminal.stdout_shows_color):
        return verdict
    return f"\x1b[{COLORS[verdict]}m{verdict}\x1b[0m"
