"""Show how far a batch is: a bar on a terminal, a line every 30 seconds in a log."""

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Self

from writer_cli.output.spinner import Spinner
from writer_cli.output.terminal import Terminal

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from writer_cli.batch.job import Progress

LOG_INTERVAL = 30.0
"""Seconds between two lines of a log."""

SCREEN_INTERVAL = 0.2
"""Seconds between two updates of the bar."""

WINDOW = 60.0
"""Seconds over which the rate is measured: older rates say little about the time left."""

SHORTEST_BAR, LONGEST_BAR = 6, 40
"""Cells of the bar."""

FREE = 3
"""Cells left free at the end of the line, for the `^C` that a terminal writes there."""

GAP = "  "
"""Between two parts of the line."""


class Part(NamedTuple):
    """One part of the line.

    Attributes:
        text: What is shown.
        rank: 1 is the most important; if the line is too short, high ranks are left out first.
        style: How rich shows it.
    """

    text: str
    rank: int
    style: str = ""


class ProgressLine:
    """Shows how far a batch is, on standard error. The bar is removed at the end."""

    def __init__(
        self, terminal: Terminal, *, quiet: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._terminal = terminal
        self._quiet = quiet
        self._clock = clock
        self._spinner: Spinner | None = None
        self._live: Live | None = None
        self._shown_at = clock()
        self._counts: deque[tuple[float, int]] = deque()
        """For the last minute: times, and how many records were done then."""

    def __enter__(self) -> Self:
        if not self._quiet and self._terminal.stderr_can_draw:
            self._spinner = Spinner(self._terminal, "starting")
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()
        if self._live is not None:
            self._live.stop()

    def show(self, progress: "Progress") -> None:
        """Show the progress, if the last time was long enough ago."""
        now = self._clock()
        is_drawn = self._spinner is not None
        if not self._counts:
            self._counts.append((now, progress.done))
        if self._quiet or now - self._shown_at < (SCREEN_INTERVAL if is_drawn else LOG_INTERVAL):
            return
        self._shown_at = now
        parts = _parts(progress, self._rate(now, progress.done))
        if self._spinner is None:
            self._terminal.note(", ".join(part.text for part in parts))
        else:
            self._spinner.stop()
            self._draw(progress.part_done, parts)

    def _rate(self, now: float, done: int) -> float:
        """Return how many records a second were done within the last minute, by this run."""
        self._counts.append((now, done))
        while self._counts[1][0] <= now - WINDOW:
            self._counts.popleft()
        began, before = self._counts[0]
        return (done - before) / (now - began) if now > began else 0.0

    def _draw(self, part_done: float | None, parts: list[Part]) -> None:
        if self._live is None:
            from rich.live import Live

            self._live = Live(
                console=self._terminal.console(),
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._live.update(_line(part_done, parts, self._terminal.error_width - FREE), refresh=True)


def _parts(progress: "Progress", rate: float) -> list[Part]:
    """Return the parts of the line, from left to right."""
    batch, parts = progress.batch, []
    if progress.part_done is not None:
        # Rounded down: 100 % means that nothing is left.
        parts.append(Part(f"{int(100 * progress.part_done)}%", 1, "bold"))
    parts.append(Part(f"{progress.answered:,} answered", 4))
    if progress.failed:
        parts.append(Part(f"{progress.failed:,} failed", 3, "red"))
    parts.append(Part(f"{rate:.1f}/s", 5))
    bound = batch.bound
    is_usual = bound.endswith("in flight")
    parts.append(Part(bound, 7 if is_usual else 3, "dim" if is_usual else "yellow"))
    if progress.left is not None and rate > 0:
        parts.append(Part(f"{_clock_time(progress.left / rate)} left", 2))
    return parts


def _clock_time(seconds: float) -> str:
    """Return a time as `3:07`, `1:03:07` or `2 days`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 48:  # noqa: PLR2004 - two days
        return f"{hours // 24} days"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _line(part_done: float | None, parts: list[Part], width: int) -> "Text":
    """Return the bar and as many of the parts as one line has room for."""
    from rich.text import Text

    least = 0 if part_done is None else SHORTEST_BAR + len(GAP)
    said = list(parts)
    while said and least + len(GAP.join(part.text for part in said)) > width:
        said.remove(max(said, key=lambda part: part.rank))
    line = Text(no_wrap=True, overflow="crop")
    if part_done is not None:
        rest = width - len("".join(GAP + part.text for part in said))
        cells = min(LONGEST_BAR, rest)
        full = int(cells * part_done)
        line.append("━" * full, "green").append("─" * (cells - full), "dim").append(GAP)
    for number, part in enumerate(said):
        line.append(GAP if number else "").append(part.text, part.style)
    return line
