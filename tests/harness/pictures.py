"""Pictures of the terminal in the documents: real runs, drawn as SVG by `make pictures`."""

import re
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme
from rich.text import Text

from tests.harness.batches import Echo, env_for, serving
from tests.harness.documents import ROOT
from tests.harness.emulator import Screen
from tests.harness.pseudo_terminal import OnTerminal
from writer_cli.sandbox.messages import Request, Response, as_json
from writer_cli.sandbox.respond import Sandbox

FOLDER = ROOT / "docs" / "pictures"

COLUMNS = 80

MEASURED = re.compile(r"\d+(\.\d+)?( s\b|/s|%? +(?=\d+ answered)| in flight)|\d+:\d\d left")
"""Numbers that differ from run to run: a latency, a rate, the remaining time."""

CELL = 12.2
"""Width of a cell in the SVG of rich."""


@dataclass(frozen=True)
class Picture:
    """The description of a picture.

    Attributes:
        name: The name of its file, without `.svg`.
        command: The command line.
        files: The files in the directory, by name.
        fault: Returns the fault for a prompt; without it the sandbox answers.
        answer: The text with which the API answers every prompt, instead of the sandbox's.
        answers: The number of prompts that are answered before the picture is taken; None for all.
        end: The beginning of the first line that the picture leaves out.
    """

    name: str
    command: str
    files: Mapping[str, str] = field(default_factory=dict)
    fault: Callable[[str, int], str | None] | None = None
    answer: str | None = None
    answers: int | None = None
    end: str | None = None


PRODUCTS = "product\n" + "".join(f"product {number}\n" for number in range(1, 121))


def _faults(prompt: str, _: int) -> str | None:
    number = int(re.findall(r"\d+", prompt)[0])
    return {17: "fault-moderation", 58: "fault-500", 83: "fault-500"}.get(number)


TIDES = """\
## Why there are tides

The **Moon** pulls the water that is nearest to it most. Two things follow:

1. The sea rises on the side of the Moon, and *also* on the side away from it.
2. The Earth turns below both, so most coasts have two high tides a day.

| tide   | Sun and Moon       | the water  |
|--------|--------------------|------------|
| spring | in line            | rises most |
| neap   | at a right angle   | rises least |

```python
hours_between_high_tides = 24.84 / 2
```
"""

PICTURES = [
    Picture("complete", 'writer complete --sandbox --max-tokens 70 "The sea was"'),
    Picture("help", "writer --help"),
    Picture("help-complete", "writer complete --help", end="Cache:"),
    Picture("error", 'writer complete "Once upon a time"'),
    Picture("markdown", 'writer complete --markdown "Why are there tides?"', answer=TIDES),
    Picture(
        "logprobs", 'writer complete --sandbox --max-tokens 10 --logprobs 3 "Once upon a time"'
    ),
    Picture(
        "batch",
        'writer batch products.csv --template "Sell {product}:" -o slogans.csv',
        files={"products.csv": PRODUCTS},
        fault=lambda *_: None,
        answers=54,
    ),
    Picture(
        "summary",
        'writer batch products.csv --template "Sell {product}:" -o slogans.csv',
        files={"products.csv": PRODUCTS},
        fault=_faults,
        end="error:",
    ),
]


class _FixedAnswer(Sandbox):
    """Answers every prompt with the same text, as a stream."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self._answer = answer

    def respond(self, request: Request) -> Response:  # noqa: ARG002 - all get the same
        """Answer."""
        return Response(
            200,
            {"content-type": "text/event-stream"},
            (b"data: " + as_json({"value": self._answer}) + b"\n\n",),
            is_stream=True,
        )


class _AnsweringSome(Echo):
    """Answers the first prompts, and lets the others wait."""

    def __init__(self, fault: Callable[[str, int], str | None], answers: int | None) -> None:
        super().__init__(fault)
        self._left = answers
        self._lock = threading.Lock()

    def respond(self, request: Request) -> Response:
        """Answer, or wait if enough prompts were answered."""
        if self._left is not None:
            with self._lock:
                self._left -= 1
                if self._left < 0:
                    self.gate.clear()
        return super().respond(request)


def screen_of(
    picture: Picture, *, columns: int = COLUMNS, env: Mapping[str, str] | None = None
) -> Screen:
    """Run the command on a real terminal, and return the screen below the command line."""
    with tempfile.TemporaryDirectory() as name:
        for file, text in picture.files.items():
            (Path(name) / file).write_text(text)
        variables = {"HOME": name, "XDG_CONFIG_HOME": name, "XDG_CACHE_HOME": name, **(env or {})}
        if picture.answer is not None:
            with serving(_FixedAnswer(picture.answer)) as server:
                return _run(picture, name, columns, variables | env_for(server))
        if picture.fault is None:
            return _run(picture, name, columns, variables)
        echo = _AnsweringSome(picture.fault, picture.answers)
        with serving(echo, latency=0.02) as server:
            return _run(picture, name, columns, variables | env_for(server))


def _run(picture: Picture, folder: str, columns: int, env: Mapping[str, str]) -> Screen:
    command = ["bash", "-c", f"cd {folder} && unset COLUMNS && {picture.command}"]
    with OnTerminal(command, env={"WRITER_MAX_RETRIES": "0", **env}, columns=columns) as terminal:
        if picture.answers is None:
            terminal.wait()
        else:
            terminal.wait_for(f"{picture.answers} answered")
        screen = Screen(columns)
        screen.feed(f"$ {picture.command}\r\n").feed(terminal.raw.decode())
    if picture.end is not None:
        lines = screen.text.split("\n")
        del screen.lines[next(n for n, line in enumerate(lines) if line.startswith(picture.end)) :]
    return screen


def svg_of(screen: Screen, name: str, theme: TerminalTheme = SVG_EXPORT_THEME) -> str:
    """Draw a screen as an SVG that loads nothing from elsewhere."""
    console = Console(
        record=True,
        width=screen.columns,
        file=StringIO(),
        force_terminal=True,
        legacy_windows=False,
    )
    for line in screen.ansi_lines():
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title="writer", theme=theme, unique_id=f"writer-{name}")
    svg = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = _BLANKS.sub(_moved, svg)
    return svg.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


_BLANKS = re.compile(
    r'x="([\d.]+)" (y="[\d.]+") textLength="([\d.]+)"([^>]*>)((?:&#160;)+)(?=[^<])'
)


def _moved(text: re.Match[str]) -> str:
    """Return a text without leading blanks, which some programs do not draw."""
    x, y, length, rest, blanks = text.groups()
    width = CELL * blanks.count(";")
    return f'x="{float(x) + width:g}" {y} textLength="{float(length) - width:g}"{rest}'


def text_of(svg: str) -> str:
    """Return the text of a picture, line by line."""
    lines: dict[float, dict[int, str]] = {}
    for element in ET.fromstring(svg).iter(  # noqa: S314 - our own file
        "{http://www.w3.org/2000/svg}text"
    ):
        if element.get("clip-path") is None:
            continue  # the title of the window
        x, y = float(element.get("x", 0)), float(element.get("y", 0))
        lines.setdefault(y, {})[round(x / CELL)] = "".join(element.itertext())
    shown = []
    for _, parts in sorted(lines.items()):
        line = ""
        for column, text in sorted(parts.items()):
            line = line.ljust(column) + text.replace("\u00a0", " ")
        shown.append(line.rstrip())
    return "\n".join(shown).rstrip("\n")


def comparable(text: str) -> str:
    """Return a text without bars and without numbers that are measured."""
    lines = [line for line in text.split("\n") if not line.startswith("  <= ")]
    return re.sub("[━─]+ +", "", MEASURED.sub("N", "\n".join(lines)))


def main() -> None:
    """Draw again each picture whose text is not what the program prints now."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        path = FOLDER / f"{picture.name}.svg"
        screen = screen_of(picture)
        if path.exists() and comparable(text_of(path.read_text())) == comparable(screen.text):
            continue
        path.write_text(svg_of(screen, picture.name))
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
