"""Lay out a text that is known as a whole, at words. `wrapping` does it while a text comes."""

import re
import textwrap

_BEFORE_UNIT = re.compile(r"(?<=[0-9]) (?=(?:m?s|%)(?![a-z]))")
"""The blank between a number and its unit."""

_NO_BREAK = "\u00a0"


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text that is wrapped at words.

    A word that is longer than a line is not broken. A number and its unit stay on one line.
    """
    lines = textwrap.wrap(
        _BEFORE_UNIT.sub(_NO_BREAK, text),
        max(width, 1),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_NO_BREAK, " ") for line in lines]


def cells(text: str) -> int:
    """Return how many cells of a terminal a text without tabs takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def indented(line: str, indent: int, width: int) -> str:
    """Return a line after an indent, which is smaller if the line would not fit otherwise."""
    return " " * max(0, min(indent, width - cells(line))) + line
