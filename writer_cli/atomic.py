"""Write a file atomically."""

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from writer_cli import posix_only
from writer_cli.errors import OutputError, UsageError


@contextmanager
def replacement(path: Path, *, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` if the block succeeds, and is deleted if not.

    The temporary file is created before the block runs, in the directory of `path`, so that a
    directory without write permission is an error before anything else is done. A symbolic link is
    kept: its target is replaced. `mode` applies from the creation of the file; by default the file
    keeps its old mode, or gets the mode of the umask. A device or a pipe is written directly.

    Raises:
        UsageError: `path` cannot be written.
        OutputError: Writing failed, for example on a full disk.
    """
    old_mode = _mode(path)
    if old_mode is not None and not stat.S_ISREG(old_mode):
        with _opened(path) as file:
            yield file
        return
    # Only after the check: the target of /dev/stdout may have no path.
    path = Path(os.path.realpath(path))
    try:
        import tempfile

        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        posix_only.set_mode(descriptor, name, _wanted_mode(mode, old_mode))
        with _output_errors(path):
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                yield file
                file.flush()
                os.fsync(descriptor)
            # Only after it is closed: Windows cannot replace an open file.
            os.replace(name, path)  # noqa: PTH105 - the name comes from tempfile
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108 - the name comes from tempfile
        raise


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("wb")
    except OSError as error:
        raise _cannot_write(path, error) from error
    with _output_errors(path), file:
        yield file


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error


def _cannot_write(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: {error.strerror or error}",
        hint="choose a file in a directory with write permission",
    )


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:  # a name that is too long, a link that leads to itself
        raise _cannot_write(path, error) from error


def _wanted_mode(mode: int | None, old_mode: int | None) -> int:
    if mode is not None:
        return mode
    if old_mode is not None:
        return stat.S_IMODE(old_mode)
    with _reading_umask:
        umask = os.umask(0)
        os.umask(umask)
    return 0o666 & ~umask


_reading_umask = threading.Lock()
"""The umask can only be read by setting it: of two threads, the second would read the other's 0."""
