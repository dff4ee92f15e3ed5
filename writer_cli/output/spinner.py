"""A sign on the terminal that something is waited for."""

import threading
from typing import TYPE_CHECKING

from writer_cli.output.terminal import Terminal, visible

if TYPE_CHECKING:
    from rich.status import Status

SPINNER_DELAY = 0.3
"""Seconds before a spinner is shown: what is quicker needs none."""


class Spinner:
    """What a person sees on standard error while waiting. It leaves no trace.

    Drawing is imported while the answer is on its way, not before, and nothing is drawn where
    standard error is no terminal. An answer that comes during the import does not wait for it.
    """

    def __init__(self, terminal: Terminal, text: str) -> None:
        self._terminal = terminal
        self._text = text
        self._status: Status | None = None
        self._done = threading.Event()
        self._lock = threading.Lock()
        if terminal.stderr_can_draw:
            threading.Thread(target=self._draw, name="spinner", daemon=True).start()

    def update(self, text: str) -> None:
        """Say something else beside the spinner."""
        with self._lock:
            self._text = text
            if self._status is not None:
                self._status.update(visible(text))

    def stop(self) -> None:
        """Take the spinner away, for good."""
        with self._lock:
            self._done.set()
            if self._status is not None:
                self._status.stop()
                self._status = None

    def _draw(self) -> None:
        if self._done.wait(SPINNER_DELAY):
            return
        status = self._terminal.console().status("")
        with self._lock:
            if not self._done.is_set():
                status.update(visible(self._text))
                status.start()
                self._status = status
