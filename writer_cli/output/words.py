"""Lay out a text that is known as a whole, at words. `wrapping` does it while a text comes."""

import re

_BEFORE_UNIT = re.compile(r"(?<=[0-9]) (?=(?:m?s|%)(?![a-z]))")
"""The blank between a number and its unit."""

NO_BREAK = "\u00a0"
"""A blank at which a line is not broken."""

_WORDS = re.compile(r"([ \t\n\r]*)([^ \t\n\r]+)")
"""A word, and the blanks before it."""


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text that is wrapped at words.

    A word that is longer than a line is not broken. A number and its unit stay on one line.
    A blank text is one empty line.
    """
    lines: list[str] = []
    for gap, word in _WORDS.findall(_BEFORE_UNIT.sub(NO_BREAK, text)):
        blanks = " " * len(gap)
        if lines and cells(f"{lines[-1]}{blanks}{word}".replace(NO_BREAK, " ")) <= width:
            lines[-1] += blanks + word
        else:
            lines.append(word if lines else blanks + word)
    return [line.replace(NO_BREAK, " ") for line in lines or [""]]


def cells(text: str) -> int:
    """Return how many cells of a terminal a text without tabs takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, width: int) -> str:
    """Return a text that takes at most so many cells, with `…` in place of what does not fit."""
    if cells(text) <= width:
        return text
    start = text[: max(0, width - 1)]
    while cells(start) >= width > 0:
        start = start[:-1]
    return f"{start}…"


def indented(line: str, indent: int, width: int) -> str:
    """Return a line after an indent, which is smaller if the line would not fit otherwise."""
    return " " * max(0, min(indent, width - cells(line))) + line
