"""The three streams, and what they can show. Nothing else touches `sys.stdout` and `sys.stderr`."""

import contextlib
import io
import os
import re
import select
import stat
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO, Self, TextIO, cast

from writer_cli.errors import OutputError, ReaderGoneError

if TYPE_CHECKING:
    from rich.console import Console

_UNSEEMLY = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\x80-\x9f"  # C0 but newline and tab, DEL, C1
    "\u202a-\u202e\u2066-\u2069]"  # bidi embeddings, overrides and isolates
)

USUAL_WIDTH = 80
"""Columns of a terminal that does not say how many it has."""


class Terminal:
    """Where a command reads and writes.

    Standard output is bytes, always UTF-8: what a pipe gets does not depend on the locale.
    """

    def __init__(
        self,
        *,
        stdin: BinaryIO | None,
        stdout: BinaryIO | None,
        stderr: TextIO | None,
        env: Mapping[str, str],
    ) -> None:
        self.stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self.env = env
        self.stdin_is_terminal = stdin is not None and stdin.isatty()
        self.stdout_is_terminal = stdout is not None and stdout.isatty()
        self.stderr_is_terminal = stderr is not None and stderr.isatty()
        self.stderr_can_draw = self.stderr_is_terminal and env.get("TERM") != "dumb"
        shows_color = not env.get("NO_COLOR") and env.get("TERM") != "dumb"
        self.stdout_can_draw = self.stdout_is_terminal and env.get("TERM") != "dumb"
        self.stdout_shows_color = self.stdout_is_terminal and shows_color

    @property
    def width(self) -> int:
        """Columns of the terminal at this moment: `COLUMNS` if it is set, else what it says."""
        given = self.env.get("COLUMNS", "")
        if given.isdecimal() and int(given) > 0:
            return int(given)
        for stream in (self._stdout, self._stderr):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):  # it is no terminal
                    return os.get_terminal_size(stream.fileno()).columns
        return USUAL_WIDTH

    @property
    def help_width(self) -> int:
        """Columns of a help page: those of the terminal, or 80 in a pipe."""
        return self.width if self.stdout_is_terminal else 80

    @classmethod
    def real(cls) -> Self:
        """Return the streams of this process; one that is closed is None."""
        stdout = None if sys.stdout is None else sys.stdout.buffer
        if isinstance(stdout, io.RawIOBase):
            # So it is under PYTHONUNBUFFERED, and may then write less than it is told to.
            stdout = io.BufferedWriter(stdout)
        return cls(
            stdin=None if sys.stdin is None else sys.stdin.buffer,
            stdout=stdout,
            stderr=sys.stderr,
            env=os.environ,
        )

    @classmethod
    def fake(
        cls,
        *,
        stdin: bytes = b"",
        stdin_is_terminal: bool = False,
        stdout_is_terminal: bool = False,
        stderr_is_terminal: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> "FakeTerminal":
        """Return streams in memory, for tests."""
        return FakeTerminal(
            _FakeBytes(stdin, is_terminal=stdin_is_terminal),
            _FakeBytes(is_terminal=stdout_is_terminal),
            _FakeText(is_terminal=stderr_is_terminal),
            env or {},
        )

    def write(self, text: str) -> None:
        """Write text to standard output, and let it be seen at once.

        Raises:
            ReaderGoneError: Nobody reads it any more.
            OutputError: It cannot be written.
        """
        if self._stdout is None:
            raise OutputError("standard output is closed")
        try:
            self._stdout.write(text.encode("utf-8", "replace"))
            self._stdout.flush()
        except BrokenPipeError as error:
            self._discard_output()
            raise ReaderGoneError("nobody reads standard output any more") from error
        except OSError as error:
            self._discard_output()
            raise OutputError(f"standard output: {error.strerror}") from error

    def note(self, text: str) -> None:
        """Write a line to standard error; where that is gone, nobody is there to be told."""
        if self._stderr is None:
            return
        try:
            self._stderr.write(visible(text) + "\n")
            self._stderr.flush()
        except OSError:
            self._stderr = None

    def console(self) -> "Console":
        """Return rich's view of standard error."""
        from rich.console import Console

        return Console(
            file=self._stderr or io.StringIO(),
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=not self.stderr_is_terminal,
            _environ=self.env,
        )

    def ask_secretly(self, question: str) -> str:
        """Ask the person at the terminal, and do not show what is typed; Ctrl-D answers nothing."""
        from getpass import getpass

        # The question goes to the terminal itself, for standard error may be a file.
        try:
            return getpass(question)
        except EOFError:
            self.note("")
            return ""

    def has_unasked_input(self) -> bool:
        """Whether a pipe on standard input holds data now; never waits for any."""
        if self.stdin is None:
            return False
        try:
            descriptor = self.stdin.fileno()
            is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
            return is_pipe and bool(select.select([descriptor], [], [], 0)[0])
        except (OSError, ValueError):
            return False

    def _discard_output(self) -> None:
        """Let what Python still holds go nowhere, or it would complain again at its end."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, cast("BinaryIO", self._stdout).fileno())
            os.close(nowhere)


def flush_standard_streams() -> None:
    """Let out what Python still holds, such as a help that typer wrote, before the process ends."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # gone, or None
            stream.flush()


def visible(text: str) -> str:
    """Show what would act on a terminal instead of letting it act.

    Control characters but newline and tab become their Unicode pictures or `<U+XXXX>`; so do the
    C1 codes and the characters that reorder text (UAX #9).
    """
    return _UNSEEMLY.sub(_stand_in, text)


def escaped_json(document: str) -> str:
    r"""Escape the same characters in a JSON document as `\uXXXX`, which means the same."""
    return _UNSEEMLY.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def _stand_in(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:  # noqa: PLR2004 - the end of C0
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"  # noqa: PLR2004 - DEL


class _FakeBytes(io.BytesIO):
    def __init__(self, content: bytes = b"", *, is_terminal: bool) -> None:
        super().__init__(content)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class _FakeText(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class FakeTerminal(Terminal):
    """Streams in memory; `output` and `errors` are what was written to them."""

    def __init__(
        self, stdin: _FakeBytes, stdout: _FakeBytes, stderr: _FakeText, env: Mapping[str, str]
    ) -> None:
        super().__init__(stdin=stdin, stdout=stdout, stderr=stderr, env=env)
        self._written, self._said = stdout, stderr

    @property
    def output(self) -> bytes:
        """The bytes on standard output."""
        return self._written.getvalue()

    @property
    def errors(self) -> str:
        """The text on standard error."""
        return self._said.getvalue()
