"""Break a text at words where the line of a terminal ends, while the text is still coming."""

import re
import unicodedata
from collections.abc import Callable
from itertools import pairwise

from writer_cli.output.terminal import visible
from writer_cli.output.words import cells

_PARTS = re.compile(r"\n|[^\S\n\u00a0\u2007\u202f]+|[\S\u00a0\u2007\u202f]+")
"""A line break, blanks where a line may be broken, or a piece of a word."""

_TAB = 8
"""Cells from one tab stop to the next."""

_JOINER = "\u200d"
"""Makes one emoji of two."""


class Wrapper:
    """Draws a text on a terminal and starts a new line before a word that does not fit.

    Each piece of a word is shown as soon as it comes. If the word then becomes too long for its
    line, it is taken back from there and written on the next line, as in an editor. A word that is
    longer than a whole line is left to the terminal, which breaks it at its edge: copied from the
    screen, it is still one word. Line breaks and indents of the text stay.

    Args:
        width: Returns the columns of the terminal, which may change between two pieces.
    """

    def __init__(self, width: Callable[[], int]) -> None:
        self._current_width = width
        self._width = width()
        self._column = 0
        """Cells of the line up to the end of the last whole word; beyond the width if unknown."""
        self._gap = ""
        """The blanks after it. They are written together with the next word."""
        self._word = ""
        """What has been written of the word after them."""
        self._is_word_fixed = False
        """Whether a word that cannot be taken back any more ends at the column."""

    def add(self, text: str) -> str:
        """Return what to write to the terminal when this comes."""
        self._follow_the_width()
        return "".join(self._drawn(part) for part in _PARTS.findall(visible(text)))

    def end(self) -> str:
        """Return what to write at the end of the text."""
        return self._blanks_that_fit()

    def _drawn(self, part: str) -> str:
        if part == "\n":
            drawn = f"{self._blanks_that_fit()}\n"
            self._column, self._gap, self._word, self._is_word_fixed = 0, "", "", False
            return drawn
        if part[0].isspace() and part[0] not in "\u00a0\u2007\u202f":
            self._end_word()
            self._add_blanks(part)
            return ""
        drawn = ""
        for piece in _breakable(part):
            if self._word and _may_break(self._word[-1], piece[0]):
                self._end_word()
            drawn += self._with(piece)
        return drawn

    def _with(self, piece: str) -> str:
        """Return how to write a further piece of a word."""
        if self._is_word_fixed:
            if self._column <= self._width:
                self._column = self._end_of_fixed(self._column + cells(piece), piece)
            return piece
        blanks = "" if self._word else self._gap
        word = self._word + piece
        end = self._column + cells(self._gap + word)
        if end > self._width and self._column > 0:
            back = f"\x1b[{self._column + 1}G\x1b[K" if self._word else ""
            self._column, self._gap, end = 0, "", cells(word)
            drawn = f"{back}\n{word}"
        else:
            drawn = blanks + piece
        self._word = word
        if end > self._width:
            self._fix(end)
        return drawn

    def _add_blanks(self, blanks: str) -> None:
        """Keep blanks for the next word, tabs as spaces: what a tab does at an edge varies."""
        for part in re.split("(\t)", blanks):
            column = self._column + cells(self._gap)
            self._gap += " " * (_TAB - column % _TAB) if part == "\t" else part

    def _end_word(self) -> None:
        if self._word:
            self._column = self._column + cells(self._gap + self._word)
            self._gap = self._word = ""
        self._is_word_fixed = False

    def _fix(self, end: int) -> None:
        """Leave the word to the terminal; it ends so many cells after the start of the line."""
        self._column = self._end_of_fixed(end, self._word)
        self._gap = self._word = ""
        self._is_word_fixed = True

    def _end_of_fixed(self, end: int, text: str) -> int:
        """Return the column of the end of what the terminal breaks, or one beyond the edge.

        Where a wide character does not fit at the edge, terminals do not agree on what follows:
        the next word then starts a new line.
        """
        return self._wrapped(end) if text.isascii() else self._width + 1

    def _wrapped(self, column: int) -> int:
        """Return the column on the last of the lines that the terminal makes of so many cells."""
        return column if column <= self._width else (column - 1) % self._width + 1

    def _blanks_that_fit(self) -> str:
        fits = not self._word and self._column + cells(self._gap) <= self._width
        return self._gap if fits else ""

    def _follow_the_width(self) -> None:
        width = max(1, self._current_width())
        if width == self._width:
            return
        # Terminals move what they show in different ways: nothing of it is taken back.
        self._width = width
        if self._word:
            self._fix(self._column + cells(self._gap + self._word))
        else:
            self._column = self._wrapped(self._column)


def _breakable(word: str) -> list[str]:
    """Return the pieces between which a word may be broken, as between two Chinese characters."""
    if word.isascii():
        return [word]
    pieces = [word[0]]
    for before, character in pairwise(word):
        if _may_break(before, character):
            pieces.append(character)
        else:
            pieces[-1] += character
    return pieces


def _may_break(before: str, after: str) -> bool:
    """Return whether a line may end between two characters of a word.

    It may beside a wide one, as in Chinese and Japanese, but not before punctuation, a small sign
    or a mark that belongs to the character before it, and not after an opening bracket.
    """
    if before.isascii() and after.isascii():
        return False
    kind = unicodedata.category(after)
    if before == _JOINER or kind in {"Mn", "Me", "Cf", "Sk", "Lm", "Po", "Pe", "Pf"}:
        return False
    if unicodedata.category(before) in {"Ps", "Pi"}:
        return False
    return any(unicodedata.east_asian_width(one) in "WF" for one in (before, after))
