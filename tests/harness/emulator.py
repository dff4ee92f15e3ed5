"""A terminal emulator in memory: it carries out escape sequences and keeps what is visible."""

import re
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len

_JOINER = "\u200d"

_OUTPUT = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n\b\t])|([^\x1b\r\n\b\t])|(.)", re.DOTALL)


def without_styles(text: str) -> str:
    """Return a text without the escape sequences for colours and other styles."""
    return re.sub("\x1b\\[[0-9;]*m", "", text)


@dataclass
class Screen:
    """The lines of a terminal, from the first one that was written.

    It knows the escape sequences that we and rich use, and fails on others.

    Attributes:
        columns: The cells of a line; a longer line continues below, as on a real terminal.
        cursor: Whether the cursor is visible.
        lines: For each line its cells: a character, empty right of a wide one, and its style as
            the parameters of an escape sequence.
    """

    columns: int = 10_000
    cursor: bool = True
    lines: list[list[tuple[str, str]]] = field(default_factory=lambda: [[]])
    _row: int = 0
    _column: int = 0
    _style: str = ""

    def feed(self, text: str) -> "Screen":
        """Carry out what a program writes."""
        for match in _OUTPUT.finditer(text):
            parameters, command, move, character, strange = match.groups()
            assert strange is None, f"a terminal is told {text[match.start() :][:20]!r}"
            if character:
                self._put(character)
            elif move:
                self._move(move)
            else:
                self._obey(parameters, command)
        return self

    @property
    def text(self) -> str:
        """The visible text."""
        lines = ["".join(character for character, _ in line).rstrip() for line in self.lines]
        return "\n".join(lines).rstrip("\n")

    def ansi_lines(self) -> list[str]:
        """Return the visible lines, with their styles as escape sequences."""
        shown = []
        for line in self.lines[: self.text.count("\n") + 1]:
            parts = (
                f"\x1b[0;{style}m{''.join(character for character, _ in cells)}"
                for style, cells in groupby(line, itemgetter(1))
            )
            shown.append("".join(parts) + "\x1b[0m")
        return shown

    def _put(self, character: str) -> None:
        line = self.lines[self._row]
        width = cell_len(character)
        if 0 < self._column <= len(line):
            at = self._column - 1
            at -= line[at][0] == ""
            before, style = line[at]
            if width == 0 or before.endswith(_JOINER):
                line[at] = (before + character, style)
                # A character before an emoji variation selector can become twice as wide.
                if cell_len(before + character) > cell_len(before):
                    line[self._column :] = [("", style)]
                    self._column += 1
                return
        if self._column + width > self.columns:
            self._column = 0
            self._down()
            line = self.lines[self._row]
        line += [(" ", "")] * (self._column - len(line))
        line[self._column : self._column + width] = [(character, self._style), ("", "")][:width]
        self._column += width

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self.lines):
            self.lines.append([])

    def _move(self, move: str) -> None:
        if move == "\n":
            self._down()
        elif move == "\t":
            self._column = min(self._column + 8 - self._column % 8, self.columns - 1)
        else:
            self._column = 0 if move == "\r" else max(0, self._column - 1)

    def _obey(self, parameters: str, command: str) -> None:
        if command == "A":
            self._row = max(0, self._row - int(parameters or 1))
        elif command == "G":
            self._column = min(int(parameters or 1), self.columns) - 1
        elif command == "K":
            del self.lines[self._row][0 if parameters == "2" else self._column :]
        elif command in ("h", "l"):
            assert parameters == "?25", parameters
            self.cursor = command == "h"
        else:
            assert command == "m", (parameters, command)
            codes = parameters.split(";")
            reset = len(codes) - codes[::-1].index("0") if "0" in codes else 0
            kept = [] if parameters in ("", "0") or reset else [self._style]
            self._style = ";".join(filter(None, [*kept, *codes[reset:]]))
