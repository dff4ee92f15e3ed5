"""Run a process on a real pseudo-terminal, and read the screen that a person would see."""

import fcntl
import os
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from tests.harness.emulator import Screen
from tests.harness.program import environment

ROWS, COLUMNS = 24, 80


class OnTerminal:
    """A process with a controlling terminal; a stream that is named in `pipes` is a pipe instead.

    Attributes:
        raw: Everything that was written to the terminal.
        process: The process; its pipes are its own.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        pipes: Sequence[str] = (),
        columns: int = COLUMNS,
    ) -> None:
        self.raw = b""
        self._written = threading.Condition()
        self._master, self._slave = os.openpty()
        self.resize(columns)
        # The first terminal that a session leader opens becomes the one that controls it.
        redirections = {"stdin": '<"$TTY"', "stdout": '>"$TTY"', "stderr": '2>"$TTY"'}
        wanted = [text for stream, text in redirections.items() if stream not in pipes]
        variables = {"TERM": "xterm-256color", "TTY": os.ttyname(self._slave), **(env or {})}
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {" ".join(wanted)}', "sh", *arguments],
            env=environment(variables),
            stdin=subprocess.PIPE if "stdin" in pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if "stdout" in pipes else None,
            stderr=subprocess.PIPE if "stderr" in pipes else None,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self.process.wait()
        self._close()
        if self._master >= 0:
            os.close(self._master)

    @property
    def text(self) -> str:
        """What was written to the terminal, with its line ends as the program wrote them."""
        return self.raw.decode().replace("\r\n", "\n")

    def hang_up(self) -> None:
        """Close the terminal, as when a window is closed or a connection is lost."""
        os.close(self._slave)
        self._slave = -1
        os.close(self._master)
        self._master = -1

    def type(self, keys: bytes) -> None:
        """Press keys, such as Ctrl-C, which is the byte 3."""
        os.write(self._master, keys)

    def resize(self, columns: int) -> None:
        """Change the width of the terminal; the foreground program gets SIGWINCH."""
        size = struct.pack("HHHH", ROWS, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def wait_for(self, text: str) -> None:
        """Wait until the process has written this text."""
        with self._written:
            assert self._written.wait_for(lambda: text.encode() in self.raw, 60), self.raw

    def wait(self) -> int:
        """Wait for the end of the process and of its output; return its exit code."""
        code = self.process.wait(60)
        self._close()
        return code

    def _close(self) -> None:
        if self._slave >= 0:
            os.close(self._slave)  # when nobody has this side open, the reader ends
            self._slave = -1
        self._reader.join(60)

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._master, 65536)
            except OSError:
                return
            with self._written:
                self.raw += chunk
                self._written.notify_all()


def screen(raw: bytes) -> tuple[str, bool]:
    """Return the text on a wide terminal after these bytes, and whether the cursor is visible.

    Raises `AssertionError` for an escape sequence that neither we nor rich use.
    """
    seen = Screen().feed(raw.decode())
    return seen.text, seen.cursor
