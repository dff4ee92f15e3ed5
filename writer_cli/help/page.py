"""A help page, and how it is laid out as text for a terminal or a pipe."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from writer_cli.output.words import NO_BREAK, wrapped

WIDEST = 100
"""Columns of a page; longer lines are hard to read."""

NARROWEST = 30
"""Columns of a page at least, even if the terminal is narrower."""

LONGEST_TERM = 28
"""Columns of a term that has its explanation beside it; a longer one has it below."""

INDENT = "  "

_SHORT_ASIDE = re.compile(r"\([^()]{1,20}\)")
"""A range or a default in parentheses. It is not broken at the end of a line."""


class Row(NamedTuple):
    """A flag, a command or a name, and its explanation."""

    term: str
    text: str


class Section(NamedTuple):
    """A part of a page: a heading, then paragraphs, then rows, then command lines.

    The command lines are shown as they are, so that they can be copied.
    """

    heading: str = ""
    paragraphs: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    commands: tuple[str, ...] = ()


class Page(NamedTuple):
    """A help page.

    Attributes:
        name: What it explains, as it is typed: `writer complete`, or `exit-codes` for a topic.
        summary: One sentence that says what it does.
        usage: The command line in short; empty for a topic.
        sections: The rest of the page.
    """

    name: str
    summary: str
    usage: str = ""
    sections: tuple[Section, ...] = ()

    def terms(self) -> Iterator[str]:
        """Yield the terms of all rows: flags, arguments and commands."""
        for section in self.sections:
            yield from (row.term for row in section.rows)


def as_text(page: Page, width: int, *, bold: bool = False) -> str:
    """Return a page as text for a terminal of `width` columns; `bold` headings use ANSI codes."""
    width = max(NARROWEST, min(width, WIDEST))
    blocks = []
    if page.usage:
        blocks.append(_wrapped(page.usage, width, _heading("Usage:", bold) + " ", len("Usage: ")))
    if page.summary:
        blocks.append(_wrapped(page.summary, width))
    blocks += ["\n".join(_section(section, width, bold=bold)) for section in page.sections]
    return "\n\n".join(blocks) + "\n"


def _heading(text: str, bold: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if bold else text


def _section(section: Section, width: int, *, bold: bool) -> Iterator[str]:
    indent = INDENT if section.heading else ""
    if section.heading:
        yield _heading(f"{section.heading}:", bold)
    for paragraph in section.paragraphs:
        yield _wrapped(paragraph, width, indent)
    yield from _rows(section.rows, width, indent)
    yield from (f"{indent}{command}" for command in section.commands)


def _rows(rows: Sequence[Row], width: int, indent: str) -> Iterator[str]:
    """Lay out rows in two columns; where too little room is left, the texts below the terms."""
    short = [len(row.term) for row in rows if len(row.term) <= LONGEST_TERM]
    column = len(indent) + max(short, default=0) + 2
    is_narrow = width - column < NARROWEST
    for term, text in rows:
        if is_narrow or len(term) > LONGEST_TERM:
            yield f"{indent}{term}"
            hanging = indent + 2 * INDENT if is_narrow else " " * column
            yield _wrapped(text, width, hanging)
        else:
            yield _wrapped(text, width, f"{indent}{term}".ljust(column), column)


def _wrapped(text: str, width: int, first: str = "", hanging: int | None = None) -> str:
    """Wrap a text at words.

    Args:
        text: What to wrap.
        width: Columns.
        first: What stands before the first line. Its ANSI codes take no room.
        hanging: Columns before the other lines; without it, those of `first`.
    """
    room = len(re.sub("\x1b\\[[0-9;]*m", "", first)) if hanging is None else hanging
    whole = _SHORT_ASIDE.sub(lambda match: match[0].replace(" ", NO_BREAK), text)
    lines = wrapped(whole, width - room)
    return "\n".join([f"{first}{lines[0]}", *(" " * room + line for line in lines[1:])]).rstrip()
