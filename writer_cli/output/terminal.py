"""The three standard streams, and what they can show. Only this module uses `sys.stdout` etc."""

import contextlib
import io
import os
import re
import select
import stat
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO, Self, TextIO, cast

from writer_cli.errors import OutputError, ReaderGoneError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

# Compiled on first use: --version and --help need none.
_CONTROL_CHARACTERS = (
    "[\x00-\x08\x0b-\x1f\x7f\x80-\x9f"  # C0 except newline and tab, DEL, C1
    "\u202a-\u202e\u2066-\u2069]"  # bidi embeddings, overrides and isolates
)

USUAL_WIDTH = 80
"""The width of a terminal that does not report one, in columns."""

MOST_DIGITS = 4
"""Digits of `COLUMNS` and `LINES` at most: a larger number is a mistake, and is ignored."""


class Terminal:
    """The standard streams of a command.

    Standard output is a byte stream, always UTF-8: the output in a pipe does not depend on the
    locale.
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
        """The current width of the terminal in columns; `COLUMNS` overrides it."""
        return self._columns(self._stdout, self._stderr)

    @property
    def error_width(self) -> int:
        """The same for what is written to standard error."""
        return self._columns(self._stderr, self._stdout)

    def _columns(self, *streams: BinaryIO | TextIO | None) -> int:
        """Return `COLUMNS`, or the columns of the first stream that is a terminal, or 80."""
        width = _size(self.env, "COLUMNS")
        for stream in streams:
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):  # it is no terminal
                    # A terminal that does not know its size says 0.
                    width = width or os.get_terminal_size(stream.fileno()).columns
        return width or USUAL_WIDTH

    @property
    def help_width(self) -> int:
        """Columns of a help page: those of the terminal, or 80 in a pipe."""
        return self.width if self.stdout_is_terminal else 80

    @classmethod
    def real(cls) -> Self:
        """Return the streams of this process; a closed stream is None."""
        stdout = None if sys.stdout is None else sys.stdout.buffer
        if isinstance(stdout, io.RawIOBase):
            # With PYTHONUNBUFFERED the stream is raw, and `write` may write only a part.
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
        """Write text to standard output, and flush it.

        Raises:
            ReaderGoneError: The reader has closed the pipe.
            OutputError: The text cannot be written.
        """
        if self._stdout is None:
            raise OutputError("standard output is closed")
        try:
            self._stdout.write(text.encode("utf-8", "replace"))
            self._stdout.flush()
        except BrokenPipeError as error:
            self._discard_output()
            raise ReaderGoneError("the reader of standard output has closed it") from error
        except OSError as error:
            self._discard_output()
            raise OutputError(f"standard output: {error.strerror}") from error

    def write_line(self, text: str) -> None:
        """Write a line to standard output; on a terminal its control characters become visible.

        Raises as `write` does.
        """
        self.write((visible(text) if self.stdout_is_terminal else text) + "\n")

    def note(self, text: str) -> None:
        """Write a line to standard error; do nothing if that fails."""
        if self._stderr is None:
            return
        try:
            self._stderr.write(visible(text) + "\n")
            self._stderr.flush()
        except OSError:
            self._stderr = None

    def console(self) -> "Console":
        """Return a rich console for standard error."""
        from rich.console import Console

        # rich takes any number from these, 0 and a million too.
        not_usable = {name for name in ("COLUMNS", "LINES") if not _size(self.env, name)}
        return Console(
            file=self._stderr or io.StringIO(),
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=not self.stderr_is_terminal,
            _environ={name: self.env[name] for name in self.env if name not in not_usable},
        )

    def ask(self, question: str) -> str:
        """Ask the person at the terminal on standard error, and return the line that is typed.

        Ctrl-D answers nothing.
        """
        if self._stderr is None or self.stdin is None:
            return ""
        self._stderr.write(visible(question))
        self._stderr.flush()
        line = self.stdin.readline()
        if not line:
            self.note("")
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def ask_secretly(self, question: str) -> str:
        """Ask for a secret without echo, and return it; "" after Ctrl-D.

        Raises `UsageError` if it is not text.
        """
        from getpass import getpass

        # getpass uses the terminal itself, because standard error may be a file.
        try:
            return getpass(question)
        except EOFError:
            self.note("")
            return ""
        except UnicodeDecodeError:
            raise UsageError(
                "what was typed is not UTF-8", hint="set the terminal to UTF-8, and try again"
            ) from None

    def has_unread_input(self) -> bool:
        """Whether standard input is a pipe that has data now; does not wait."""
        if self.stdin is None:
            return False
        try:
            descriptor = self.stdin.fileno()
            is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
            return is_pipe and bool(select.select([descriptor], [], [], 0)[0])
        except (OSError, ValueError):
            return False

    def _discard_output(self) -> None:
        """Redirect standard output to /dev/null, or Python would report the error again at exit."""
        with contextlib.suppress(OSError, ValueError):
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, cast("BinaryIO", self._stdout).fileno())
            os.close(devnull)


def flush_standard_streams() -> None:
    """Flush the buffers of Python, for example a help text that typer wrote, before the exit."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # gone, or None
            stream.flush()


def visible(text: str) -> str:
    """Replace the characters that control a terminal by visible ones.

    Control characters except newline and tab, and characters that reorder text (UAX #9), become
    their Unicode picture or `<U+XXXX>`.
    """
    return re.sub(_CONTROL_CHARACTERS, _visible_form, text)


def escaped_json(document: str) -> str:
    r"""Escape the same characters in a JSON document as `\uXXXX`, which JSON reads back."""
    return re.sub(_CONTROL_CHARACTERS, lambda match: f"\\u{ord(match[0]):04x}", document)


def _size(env: Mapping[str, str], name: str) -> int:
    """Return the columns or lines in a variable, 1 to 9,999; 0 where it says nothing usable."""
    text = env.get(name, "")
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else 0


def _visible_form(match: re.Match[str]) -> str:
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
    """Streams in memory; `output` and `errors` return what was written to them."""

    def __init__(
        self, stdin: _FakeBytes, stdout: _FakeBytes, stderr: _FakeText, env: Mapping[str, str]
    ) -> None:
        super().__init__(stdin=stdin, stdout=stdout, stderr=stderr, env=env)
        self._fake_stdout, self._fake_stderr = stdout, stderr

    @property
    def output(self) -> bytes:
        """The bytes written to standard output."""
        return self._fake_stdout.getvalue()

    @property
    def errors(self) -> str:
        """The text written to standard error."""
        return self._fake_stderr.getvalue()
