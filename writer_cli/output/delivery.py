"""Deliver a result to its destination: standard output or a file.

A paid text is never lost: if the file cannot be written, the text goes to standard output, and if
that fails too, to standard error.
"""

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import NamedTuple

from writer_cli import atomic
from writer_cli.errors import OutputError, ReaderGoneError, WriterError
from writer_cli.output.terminal import Terminal, visible


class Delivery(NamedTuple):
    """The destination of a result.

    Attributes:
        terminal: The streams of the command.
        path: The file to write; None is standard output.
        as_json: The result is a JSON document, and so are errors.
        raw: Control characters are written to a terminal unchanged.
        warn: Shows a warning to the user.
    """

    terminal: Terminal
    path: Path | None
    as_json: bool
    raw: bool
    warn: Callable[[str], None]

    @property
    def is_to_screen(self) -> bool:
        """Whether the result is shown on a terminal."""
        return self.path is None and self.terminal.stdout_is_terminal

    def deliver(self, pieces: Generator[str]) -> None:
        """Write the pieces of a result as they arrive, or to the file when all have arrived.

        The file is written atomically; whether it can be written is checked before the first
        piece is requested. If an error or a signal ends the pieces early, the incomplete text is
        written to `FILE.partial`.

        Raises:
            UsageError: `path` cannot be written; no piece was requested.
            OutputError: Writing failed; the hint says where the text went instead.
        """
        if self.path is None:
            self._print(pieces)
        else:
            self._write_file(self.path, pieces)

    def _print(self, pieces: Generator[str]) -> None:
        text = ""
        try:
            for piece in pieces:
                text += piece
                self.terminal.write(piece)
        except OutputError as error:
            text += "".join(pieces)
            if self.as_json:
                error.text = text
            else:
                self.terminal.note(text.removesuffix("\n"))
                error.hint = "the text went to standard error instead"
            raise

    def _write_file(self, path: Path, pieces: Generator[str]) -> None:
        text = ""
        try:
            with atomic.replacement(path) as file:
                for piece in pieces:
                    text += piece
                file.write(text.encode("utf-8", "replace"))
        except OutputError as error:
            where = self._print_instead(text)
            error.message = f"--output: {error.message}"
            error.hint = f"the text went to {where} instead"
            raise
        except BaseException:
            if text:
                self._keep_partial(text, path)
            raise

    def _keep_partial(self, text: str, path: Path) -> None:
        """Write an incomplete text to `PATH.partial`, or to a stream if that fails."""
        try:
            if path.exists() and not path.is_file():
                # Nothing is written beside a device such as /dev/full.
                raise OutputError(f"{path} is not a file")
            partial = path.with_name(f"{path.name}.partial")
            write_file(partial, [text.encode("utf-8", "replace")])
            self.warn(f"the incomplete text is in {partial}")
        except WriterError:
            self._print_instead(text)

    def _print_instead(self, text: str) -> str:
        """Write a text to the first stream that works, and return the name of that stream."""
        is_safe = self.raw or not self.terminal.stdout_is_terminal
        try:
            self.terminal.write(text if is_safe else visible(text))
        except (OutputError, ReaderGoneError):
            self.terminal.note(text.removesuffix("\n"))
            return "standard error"
        return "standard output"


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file atomically. Raises `UsageError` or `OutputError`, as `atomic` does."""
    with atomic.replacement(path) as file:
        file.writelines(pieces)
