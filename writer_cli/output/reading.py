"""How a text is shown on a terminal: wrapped at words, as Markdown, or unchanged."""

from typing import NamedTuple, Protocol

from writer_cli.output.terminal import Terminal, visible


class Drawing(Protocol):
    """Draws one text that arrives in pieces."""

    def add(self, text: str) -> str:
        """Return what to write when this piece comes."""
        ...

    def end(self) -> str:
        """Return what to write at the end of the text."""
        ...


class AsItCame:
    """Leaves a text unchanged; control characters are made visible unless it `is_safe`."""

    def __init__(self, *, is_safe: bool) -> None:
        self._is_safe = is_safe

    def add(self, text: str) -> str:
        """Return this piece."""
        return text if self._is_safe else visible(text)

    def end(self) -> str:
        """Return nothing."""
        return ""


class Reading(NamedTuple):
    """How a text is shown on a terminal.

    Attributes:
        wrap: Break lines at words. Not with `raw`, nor if the terminal cannot move its cursor.
        markdown: Draw headings, lists, tables and code.
        raw: Write control characters unchanged.
    """

    wrap: bool = True
    markdown: bool = False
    raw: bool = False

    def drawing(self, terminal: Terminal) -> Drawing:
        """Return what draws one text on a terminal."""
        if self.markdown:
            from writer_cli.output.markdown import MarkdownBlocks

            return MarkdownBlocks(terminal)
        if self.wrap and not self.raw and terminal.stdout_can_draw:
            from writer_cli.output.wrapping import Wrapper

            return Wrapper(lambda: terminal.width)
        return AsItCame(is_safe=self.raw)
