"""A spinner on the terminal while the program waits."""

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from writer_cli.output.terminal import Terminal, visible

if TYPE_CHECKING:
    from rich.status import Status

SPINNER_DELAY = 0.3
"""Seconds before the spinner is shown: a quick answer needs none."""


class Spinner:
    """A spinner on standard error; it is removed at the end.

    rich is imported in a thread while the program waits for the answer. An answer that arrives
    during the import does not wait for it. Without a terminal, nothing is drawn.
    """

    def __init__(self, terminal: Terminal, text: str, *, counts_seconds: bool = False) -> None:
        self._terminal = terminal
        self._counts_seconds = counts_seconds
        self._text = text
        self._since = time.monotonic()
        self._status: Status | None = None
        self._done = threading.Event()
        self._lock = threading.Lock()
        if terminal.stderr_can_draw:
            threading.Thread(target=self._draw, name="spinner", daemon=True).start()

    def update(self, text: str) -> None:
        """Change the text beside the spinner."""
        with self._lock:
            self._text = text
            self._since = time.monotonic()
            if self._status is not None:
                self._status.update(self._shown())

    def _shown(self) -> str:
        """Return the text; with `counts_seconds`, also the seconds since it was set."""
        from rich.markup import escape

        seconds = f" · {time.monotonic() - self._since:.0f} s" if self._counts_seconds else ""
        return escape(visible(self._text) + seconds)

    def stop(self) -> None:
        """Remove the spinner."""
        with self._lock:
            self._done.set()
            if self._status is not None:
                with contextlib.suppress(OSError):  # the terminal may have been closed
                    self._status.stop()
                self._status = None

    def _draw(self) -> None:
        if self._done.wait(SPINNER_DELAY):
            return
        status = self._terminal.console().status("")
        with self._lock:
            if not self._done.is_set():
                status.update(self._shown())
                status.start()
                self._status = status
        while self._counts_seconds and not self._done.wait(1):
            with self._lock:
                if self._status is not None:  # pragma: no branch - it may just have stopped
                    self._status.update(self._shown())
