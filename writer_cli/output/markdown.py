"""Draw Markdown on a terminal, block by block while the text arrives."""

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown
from rich.rule import Rule
from rich.syntax import Syntax
from rich.theme import Theme

from writer_cli.output.drawn import drawn
from writer_cli.output.terminal import Terminal, visible

LINES_PER_LOOK = 20
"""A block is parsed again at each of its first 20 lines, then at every second line, and so on."""

_THEME = Theme({"markdown.code": "bold cyan"})
"""Without the black background of rich, which is a box on a light terminal."""


class _Code(CodeBlock):
    """A block of code between two lines, without an indent, so that it can be copied."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        language = "" if self.lexer_name == "text" else self.lexer_name
        yield Rule(language, align="left", style="dim")
        yield Syntax(
            str(self.text).rstrip(),
            self.lexer_name,
            theme="ansi_dark",
            word_wrap=True,
            background_color="default",
        )
        yield Rule(style="dim")


class _Blocks(Markdown):
    elements = Markdown.elements | {"fence": _Code, "code_block": _Code}


class MarkdownBlocks:
    """Draws headings, paragraphs, lists, tables and code, each once the next one has begun.

    What is drawn block by block is what rich would draw of the whole text at once. Three things
    of Markdown are left out because they could hide or change what the model wrote: HTML is shown
    as it is, an address stands beside the text of its link, and a list of link references is text.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._parser = MarkdownIt("commonmark", {"html": False})
        self._parser.enable(["strikethrough", "table"]).disable("reference")
        self._splitter = MarkdownIt("commonmark", {"html": False}).enable("table")
        self._splitter.disable("reference").core.ruler.enableOnly(["normalize", "block"])
        self._source = ""
        """The text from the beginning of the last block that was drawn."""
        self._drawn_source = ""
        """The last block that was drawn: the space below it depends on the next block."""
        self._next_look = 0
        """The number of lines at which the end of a block is looked for again."""

    def add(self, text: str) -> str:
        """Return what to write to the terminal when this comes: the blocks that are now whole."""
        self._source += visible(text)
        if "\n" not in text:  # only a whole line says whether a block has ended
            return ""
        lines = self._source.split("\n")
        if len(lines) < self._next_look:
            return ""
        starts = [
            token.map[0]
            for token in self._splitter.parse("\n".join(lines[:-1]))
            if token.level == 0 and token.map
        ]
        # The longer a block becomes, the longer it takes to look at it: do so less often then.
        self._next_look = len(lines) + 1 + len(lines) // LINES_PER_LOOK
        if len(starts) < (3 if self._drawn_source else 2):
            return ""
        *_, last, unfinished = starts
        self._next_look = 0
        text = self._draw("\n".join(lines[:unfinished]))
        self._source = "\n".join(lines[last:])
        self._drawn_source = "\n".join(lines[last:unfinished])
        return text

    def end(self) -> str:
        """Return what to write at the end of the text."""
        return self._draw(self._source)

    def _draw(self, source: str) -> str:
        """Return the lines of a part of the text that are not drawn yet."""
        known = len(self._lines(self._drawn_source))
        return "".join(f"{line}\n" for line in self._lines(source)[known:])

    def _lines(self, source: str) -> list[str]:
        if not source:
            return []
        markdown = _Blocks("", hyperlinks=False)
        markdown.parsed = self._parser.parse(source)
        return drawn(markdown, self._terminal, theme=_THEME).split("\n")[:-1]
