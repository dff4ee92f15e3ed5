"""What rich draws on standard output, as text."""

from io import StringIO

from rich.console import Console, RenderableType
from rich.segment import Segment, Segments
from rich.theme import Theme

from writer_cli.output.terminal import Terminal, visible


def drawn(
    renderable: RenderableType,
    terminal: Terminal,
    *,
    width: int | None = None,
    theme: Theme | None = None,
) -> str:
    """Return what to write to the terminal, each line without blanks at its end.

    It has no colours with `NO_COLOR`, and no styles on a terminal without them. Control characters
    from a model are made visible. The width is that of the terminal unless another is given.
    """
    drawing = StringIO()
    console = Console(
        file=drawing,
        width=width or terminal.width,
        color_system="standard" if terminal.stdout_can_draw else None,
        no_color=not terminal.stdout_shows_color,
        force_terminal=True,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        theme=theme,
        _environ={},
    )
    parts: list[Segment] = []
    for line in console.render_lines(renderable, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        parts += [Segment(visible(part.text), part.style) for part in line]
        if line:
            parts[-1] = Segment(parts[-1].text.rstrip(), parts[-1].style)
        parts.append(Segment.line())
    console.print(Segments(parts), end="", crop=False)
    return drawing.getvalue()
