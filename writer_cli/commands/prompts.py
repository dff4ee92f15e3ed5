"""Read the prompt from arguments, files and standard input."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from writer_cli.errors import UsageError

LARGEST_PROMPT = 64 * 1024 * 1024
"""Bytes of one source of a prompt at most; a million tokens are about 4 MB."""

STDIN = "-"

EXAMPLE = '`writer complete -m palmyra-x5 "Once upon a time"`, or a pipe: `… | writer complete`'


def read(arguments: Sequence[str], files: Sequence[str], stdin: BinaryIO | None) -> str:
    """Join the arguments, then the files, by a blank line; `-` stands for standard input.

    Standard input is read only for `-`, or if nothing else is given and it is not a terminal.
    Everything must be UTF-8; a byte order mark and one line break at the end are removed.

    Raises:
        UsageError: There is no prompt, or it cannot be read.
    """
    sources = [*arguments, *files]
    if sources.count(STDIN) > 1:
        raise UsageError("- (standard input) is given twice", hint="use `-` once")
    if not sources:
        if stdin is None or stdin.isatty():
            raise UsageError("no prompt", hint=f"for example: {EXAMPLE}")
        sources, arguments = [STDIN], [STDIN]
    prompt = "\n\n".join(_parts(arguments, files, stdin))
    if not prompt:
        raise UsageError("the prompt is empty", hint=f"for example: {EXAMPLE}")
    return prompt


def read_source(name: str, stdin: BinaryIO | None) -> str:
    """Read a file, or standard input if its name is `-`. Raises `UsageError`."""
    return _from_stdin(stdin) if name == STDIN else _from_file(Path(name))


def asks_for_stdin(arguments: Sequence[str], files: Sequence[str]) -> bool:
    """Whether `read` would read standard input."""
    sources = [*arguments, *files]
    return not sources or STDIN in sources


def _parts(arguments: Sequence[str], files: Sequence[str], stdin: BinaryIO | None) -> Iterator[str]:
    for argument in arguments:
        yield _from_stdin(stdin) if argument == STDIN else _from_argument(argument)
    for file in files:
        yield read_source(file, stdin)


def _from_argument(argument: str) -> str:
    # Python decodes bytes of an argument that are not UTF-8 to lone surrogates.
    raw = argument.encode(sys.getfilesystemencoding(), "surrogateescape")
    return _decoded(raw, "the argument")


def _from_stdin(stdin: BinaryIO | None) -> str:
    if stdin is None:
        raise UsageError("standard input is closed", hint="pipe a prompt into it, or give one")
    try:
        raw = _limited(stdin, "standard input")
    except OSError as error:
        raise UsageError(
            f"standard input: {error.strerror or error}", hint="pipe a prompt into it, or give one"
        ) from error
    return _trimmed(_decoded(raw, "standard input"))


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = _limited(file, str(path))
    except OSError as error:
        raise UsageError(f"--file {path}: {error.strerror}", hint="name a text file") from error
    return _trimmed(_decoded(raw, str(path)))


def _limited(file: BinaryIO, name: str) -> bytes:
    raw = file.read(LARGEST_PROMPT + 1)
    if len(raw) > LARGEST_PROMPT:
        raise UsageError(
            f"{name} is larger than {LARGEST_PROMPT // 2**20} MiB", hint="no model reads that much"
        )
    return raw


def _decoded(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}",
            hint="convert it first, for example with `iconv -f ISO-8859-1 -t UTF-8`",
        ) from error


def _trimmed(text: str) -> str:
    """Remove one line break at the end, as `echo` and editors add it."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
